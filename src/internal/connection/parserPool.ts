/**
 * A pool of pristine parsers. A parser is pristine after a request, so a connection holds one only within a request: of
 * 10,000 persistent connections most are idle, and a parser takes 600 bytes.
 */
import type { Parser } from "../../RequestParser.js"

/** As many as a busy server reads with at once; further ones are made, and dropped. */
const maxIdleParsers = 64

export class ParserPool {
  private readonly idle: Array<Parser> = []

  constructor(private readonly make: () => Parser) {}

  acquire(): Parser {
    return this.idle.pop() ?? this.make()
  }

  release(parser: Parser): void {
    if (this.idle.length < maxIdleParsers) this.idle.push(parser)
  }
}
