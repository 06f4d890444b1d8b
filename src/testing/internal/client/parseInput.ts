/** Received bytes that have not been parsed yet. */
import type { LineSyntax } from "./grammar.js"
import { type ParseError, type ParseErrorCode, parseError } from "./parseError.js"

const LF = 0x0a

/** Whether a text can become a line of this syntax. */
const isCut = ({ completions, pattern }: LineSyntax, text: string): boolean =>
  completions(text).some((completion) => pattern.test(text + completion))

export class ParseInput {
  private bytes: Buffer = Buffer.alloc(0)
  private at = 0
  /** The beginning of a line that has not arrived completely. */
  private cut = ""
  /** A shorter text with the same completions as `cut`. */
  private shortened = ""

  feed(bytes: Buffer): void {
    this.bytes = this.isEmpty ? bytes : Buffer.concat([this.bytes.subarray(this.at), bytes])
    this.at = 0
  }

  get isEmpty(): boolean {
    return this.at === this.bytes.length
  }

  takeByte(): number | undefined {
    return this.isEmpty ? undefined : this.bytes[this.at++]
  }

  take(most: number): Buffer {
    const start = this.at
    this.at = Math.min(this.bytes.length, start + most)
    return this.bytes.subarray(start, this.at)
  }

  /**
   * Takes a line of at most `most` bytes, as text with one character per byte; `undefined` if the line is incomplete.
   */
  takeLine(syntax: LineSyntax, most: number, overflow: ParseErrorCode): string | ParseError | undefined {
    if (this.isEmpty) return undefined
    const text = this.takeText(most - this.cut.length)
    const line = this.cut + text
    if (text.endsWith("\n")) {
      this.cut = ""
      this.shortened = ""
      return syntax.pattern.test(line) ? line : syntax.errorOf(line)
    }
    const shortened = this.shortened + text
    if (!isCut(syntax, shortened)) return syntax.errorOf(line)
    if (line.length === most) return parseError(overflow, `More than ${most} bytes`, line)
    this.cut = line
    this.shortened = syntax.shorten(shortened)
    return undefined
  }

  /** Takes at most `most` bytes, up to a LF. A loop: a call of `Buffer.indexOf` costs more than a usual line. */
  private takeText(most: number): string {
    const { at, bytes } = this
    const bound = Math.min(bytes.length, at + most)
    let end = at
    while (end < bound && bytes[end++] !== LF);
    this.at = end
    return bytes.toString("latin1", at, end)
  }
}
