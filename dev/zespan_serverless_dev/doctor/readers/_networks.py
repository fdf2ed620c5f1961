"""The way from a function in a VPC to the internet, in a CloudFormation or SAM template."""

from __future__ import annotations

from typing import Any

from ._documents import table
from ._template import Template

_EGRESS = (
    *("AWS::EC2::NatGateway", "AWS::EC2::EgressOnlyInternetGateway", "AWS::EC2::VPCEndpoint"),
    *("AWS::EC2::TransitGatewayAttachment", "AWS::EC2::TransitGatewayVpcAttachment"),
)
_ROUTES = (
    *("NatGatewayId", "TransitGatewayId", "EgressOnlyInternetGatewayId", "VpcPeeringConnectionId", "VpcEndpointId"),
    *("InstanceId", "NetworkInterfaceId", "CarrierGatewayId", "LocalGatewayId"),
)
"""Where a route may lead that a function can take; an internet gateway is of no use to it."""


def has_egress(template: Template, vpc: Any) -> bool | None:
    """Whether a function in a VPC reaches the internet; None if a subnet, its VPC or its routes are elsewhere."""
    subnets = vpc.get("SubnetIds")
    names = [template.target(each) for each in subnets] if isinstance(subnets, list) else []
    if not names or None in names:
        return None
    routes = template.of_type("AWS::EC2::Route").values()
    if template.of_type(*_EGRESS) or any(key in route for route in routes for key in _ROUTES):
        return True
    subnets = template.of_type("AWS::EC2::Subnet")
    vpcs = {template.target(table(subnets.get(str(name))).get("VpcId")) for name in names}
    tables = [each.get("RouteTableId") for each in template.of_type("AWS::EC2::SubnetRouteTableAssociation").values()]
    return None if None in vpcs or None in map(template.target, tables) else False
