// Rows of a long list, some pages at a time: the list is never in memory as a whole.
import { get } from "./api.js";
import { signal } from "./html.js";

const SIZE = 100; // rows of a page
const KEPT = 12; // pages in memory
const SEARCH_EVERY = 400; // ms
const AT_ONCE = 2; // requests

export class Pages {
  constructor(path, query) {
    this.path = path;
    this.query = query;
    this.pages = new Map(); // number -> rows, the one used last at the end
    this.asked = new Map(); // number -> AbortController
    this.wanted = [];
    this.total = signal(null);
    this.newer = signal(0); // rows that came after the first answer
    this.error = signal(null);
    this.version = signal(0);
    this.until = undefined;
    this.closed = false;
  }

  row(index) {
    return this.pages.get(Math.floor(index / SIZE))?.[index % SIZE];
  }

  // Asks for the pages that rows `first` to `last` are on, instead of those that were wanted before.
  want(first, last) {
    this.wanted = [];
    for (let page = Math.floor(first / SIZE); page <= Math.floor(last / SIZE); page++) {
      if (this.pages.has(page)) this.#use(page);
      else if (!this.asked.has(page)) this.wanted.push(page);
    }
    this.#ask();
  }

  // Reads the newest rows again from the top, without an empty list in between.
  async refresh() {
    const answer = await this.#get(0, undefined);
    if (!answer) return;
    this.until = answer.until;
    this.pages.clear();
    this.#take(0, answer);
  }

  // Reads the pages that are in memory again, in place: for a list whose rows change, but do not move.
  async reload() {
    if (this.closed) return;
    for (const page of [...this.pages.keys()].slice(-2)) {
      const answer = await this.#get(page * SIZE, this.until);
      if (answer) this.#take(page, answer);
    }
  }

  // Only counts what is newer.
  async look() {
    const answer = await this.#get(0, this.until, 1);
    if (answer) this.newer.value = answer.newer ?? 0;
  }

  close() {
    this.closed = true;
    for (const abort of this.asked.values()) abort.abort();
  }

  #use(page) {
    const rows = this.pages.get(page);
    this.pages.delete(page);
    this.pages.set(page, rows);
  }

  async #ask() {
    if (this.closed || this.asked.size >= AT_ONCE || !this.wanted.length) return;
    const page = this.wanted.shift();
    const abort = new AbortController();
    this.asked.set(page, abort);
    this.#ask();
    const answer = await this.#get(page * SIZE, this.until, SIZE, abort.signal);
    this.asked.delete(page);
    if (answer) {
      this.until ??= answer.until;
      this.#take(page, answer);
    }
    this.#ask();
  }

  async #get(offset, until, limit = SIZE, signal = undefined) {
    try {
      const answer = await get(this.path, { ...this.query, offset, until, limit }, signal);
      this.error.value = null;
      return this.closed ? null : answer;
    } catch (problem) {
      if (!this.closed && problem.name !== "AbortError") this.error.value = problem;
      return null;
    }
  }

  #take(page, answer) {
    this.pages.set(page, answer.rows);
    while (this.pages.size > KEPT) this.pages.delete(this.pages.keys().next().value);
    this.total.value = answer.total;
    this.newer.value = answer.newer ?? 0;
    this.version.value += 1;
    // A search for a text goes on at the server; its list becomes longer meanwhile.
    if (answer.searching) setTimeout(() => this.reload(), SEARCH_EVERY);
  }
}
