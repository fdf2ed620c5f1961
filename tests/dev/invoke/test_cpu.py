"""The CPU quota of a function's memory, where the kernel can enforce one."""

from __future__ import annotations

from pathlib import Path

import pytest
from zespan_serverless_dev.invoke.cpu import PERIOD, CpuLimit, share


def machine(root: Path, groups: str, mount: str) -> None:
    """A machine whose process is in these cgroups, with one mount."""
    own = root / "proc" / "self"
    own.mkdir(parents=True)
    (own / "cgroup").write_text(groups)
    (own / "mountinfo").write_text(mount)


def test_share_is_lambdas() -> None:
    """1,769 MB are one vCPU."""
    assert share(1769) == 1.0
    assert share(128) == pytest.approx(0.072, abs=0.001)


def test_cgroup_version_2_limits_the_cpu(tmp_path: Path) -> None:
    """A new cgroup has a whole vCPU for the init, then its share; the controller is switched on for it."""
    machine(tmp_path, "0::/user/mine\n", "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    parent = tmp_path / "sys/fs/cgroup/user/mine"
    parent.mkdir(parents=True)
    (parent / "cgroup.controllers").write_text("cpu memory\n")
    (parent / "cgroup.subtree_control").write_text("memory\n")
    limit = CpuLimit(884, tmp_path)
    assert limit.join is not None
    folder = limit.join.parent
    assert folder.parent == parent
    assert (parent / "cgroup.subtree_control").read_text() == "+cpu"
    assert (folder / "cpu.max").read_text() == f"{PERIOD} {PERIOD}"
    limit.enforce()
    assert (folder / "cpu.max").read_text() == f"{int(884 / 1769 * PERIOD)} {PERIOD}"
    (folder / "cpu.max").unlink()  # the kernel's files go with their folder
    limit.close()
    assert not folder.exists()
    limit.enforce()


def test_cgroup_version_1_limits_the_cpu(tmp_path: Path) -> None:
    """The older cgroups have the quota in a file of its own."""
    machine(tmp_path, "4:memory:/m\n3:cpu,cpuacct:/c\n", "30 20 0:26 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n")
    (tmp_path / "cg/cpu/c").mkdir(parents=True)
    limit = CpuLimit(3538, tmp_path)
    assert limit.join is not None
    assert limit.join.parent.parent == tmp_path / "cg/cpu/c"
    assert (limit.join.parent / "cpu.cfs_quota_us").read_text() == str(2 * PERIOD)


def test_a_missing_cgroup_is_reported(tmp_path: Path) -> None:
    """Where no cgroup can be made the function runs without one, and the reason is known."""
    assert "no control groups" in CpuLimit(512, tmp_path).trouble
    machine(tmp_path, "3:cpu:/missing\n", "30 20 0:26 / /cg/cpu rw - cgroup cgroup rw,cpu\n")
    limit = CpuLimit(512, tmp_path)
    assert limit.join is None
    assert "No such file" in limit.trouble
    limit.close()
