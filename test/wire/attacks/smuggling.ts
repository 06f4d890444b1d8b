/**
 * Request smuggling as it is known from the literature: framing that two readers on the way could understand
 * differently, with a second request hidden where one of them would find it.
 *
 * In each row `‖` follows the byte at which the refusal must come: not a byte earlier, and no byte of what is
 * after it is ever looked at.
 */

export interface Attack {
  readonly title: string
  /** The bytes up to and with the one that is rejected; latin1. */
  readonly refused: string
  /** What comes after them: the hidden request is in it. */
  readonly hidden: string
  readonly status: number
}

export const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

const attack = (title: string, text: string, status: number): Attack => {
  const [refused, hidden, ...more] = text.split("‖")
  if (refused === undefined || hidden === undefined || more.length > 0) throw new Error(`one ‖ is missing: ${title}`)
  return { title, refused, hidden: hidden + smuggled, status }
}

const head = (lines: string, version = "1.1"): string => `POST /victim HTTP/${version}\r\nHost: a\r\n${lines}\r\n\r\n`

/** The body that a reader of Content-Length and one of chunks end at different places. */
const twoEnds = `0\r\n\r\n${smuggled}`

/** A row that is judged when its head is whole. */
const judged = (title: string, lines: string, status = 400, version = "1.1"): Attack =>
  attack(title, `${head(lines, version)}‖${twoEnds}`, status)

/** A row that is rejected within its field lines, at the mark. */
const broken = (title: string, lines: string): Attack => attack(title, head(lines) + twoEnds, 400)

const besideChunks = "Transfer-Encoding: chunked\r\n"
const besideLength = "Content-Length: 6\r\n"

/** A line that is rejected at the mark, after each framing that a parser which drops it would be left with. */
const brokenBeside = (title: string, line: string): ReadonlyArray<Attack> => [
  broken(`TE.TE: ${title}`, besideChunks + line),
  broken(`CL.TE: ${title}`, besideLength + line)
]

/** A coding that one reader takes for chunked, and another does not: alone, and after what the other would go by. */
const coding = (title: string, value: string, statusAlone = 400): ReadonlyArray<Attack> => {
  const line = `Transfer-Encoding: ${value}`
  return [
    judged(`TE: ${title}`, line, statusAlone),
    judged(`TE.TE: ${title}`, besideChunks + line),
    judged(`CL.TE: ${title}`, besideLength + line)
  ]
}

const bothLengths: ReadonlyArray<Attack> = [
  judged("CL.TE: a length that ends after the chunks", "Content-Length: 6\r\nTransfer-Encoding: chunked"),
  judged("CL.TE: a length that ends before the chunks", "Content-Length: 3\r\nTransfer-Encoding: chunked"),
  judged("CL.0: a length of zero beside chunks", "Content-Length: 0\r\nTransfer-Encoding: chunked"),
  judged("TE.CL: chunks before a length", "Transfer-Encoding: chunked\r\nContent-Length: 4"),
  judged("TE.CL: other fields between them", "Transfer-Encoding: chunked\r\nX: y\r\nAccept: */*\r\nContent-Length: 4"),
  judged("TE.CL: names and coding in other cases", "tRANSFER-eNCODING: cHUNKED\r\ncONTENT-lENGTH: 4"),
  judged("TE.CL: no space after the colons", "Transfer-Encoding:chunked\r\nContent-Length:4"),
  judged("TE.CL: tabs around the coding", "Transfer-Encoding:\tchunked\t\r\nContent-Length: 4"),
  judged(
    "TE.CL: Connection names the coding away",
    "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\nContent-Length: 4"
  ),
  judged("TE.CL: an unknown coding beside a length", "Transfer-Encoding: x\r\nContent-Length: 4"),
  judged("TE.CL: an empty coding beside a length", "Transfer-Encoding:\r\nContent-Length: 4"),
  judged("TE in HTTP/1.0, where chunks do not exist", "Transfer-Encoding: chunked", 400, "1.0"),
  judged("TE in HTTP/1.0, kept alive", "Transfer-Encoding: chunked\r\nConnection: keep-alive", 400, "1.0"),
  judged("CL.TE in HTTP/1.0", "Content-Length: 6\r\nTransfer-Encoding: chunked", 400, "1.0"),
  judged(
    "TE.CL in HTTP/1.0, kept alive",
    "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 4",
    400,
    "1.0"
  )
]

const codings: ReadonlyArray<Attack> = [
  ...coding("xchunked", "xchunked"),
  ...coding("chunkedx", "chunkedx"),
  ...coding("chunk", "chunk"),
  ...coding("a word before chunked", "cow chunked"),
  ...coding("chunked twice in a row", "chunked chunked"),
  ...coding("chunked twice in a list", "chunked, chunked"),
  ...coding("chunked, then identity", "chunked, identity"),
  ...coding("identity, then chunked", "identity, chunked", 501),
  ...coding("gzip, then chunked", "gzip, chunked", 501),
  ...coding("identity", "identity"),
  ...coding("an empty value", ""),
  ...coding("a comma after chunked", "chunked,"),
  ...coding("a comma before chunked", ",chunked"),
  ...coding("a parameter of chunked", "chunked;q=1"),
  ...coding("a semicolon after chunked", "chunked;"),
  ...coding("chunked in double quotes", '"chunked"'),
  ...coding("chunked in single quotes", "'chunked'"),
  ...coding("chunked in brackets", "[chunked]"),
  ...coding("chunked, escaped", "chu\\nked"),
  ...coding("a quote that is never closed", 'x;a="b, chunked'),
  ...coding("a no-break space before chunked", "\xa0chunked"),
  ...coding("a no-break space after chunked", "chunked\xa0"),
  ...coding("a next-line character before chunked", "\x85chunked"),
  ...coding("a next-line character after chunked", "chunKed\x85"),
  ...coding("the highest byte after chunked", "chunked\xff"),
  ...coding("the K of Kelvin in chunked", "chun\xe2\x84\xaaed"),
  ...coding("chunked and x in two fields", "chunked\r\nTransfer-Encoding: x"),
  ...coding("x and chunked in two fields", "x\r\nTransfer-Encoding: chunked", 501),
  ...coding("chunked in two fields", "chunked\r\ntransfer-encoding: chunked"),
  ...coding("chunked and nothing in two fields", "chunked\r\nTransfer-Encoding:")
]

/** Names and line ends that one reader repairs, and another does not. */
const repaired: ReadonlyArray<Attack> = [
  ...brokenBeside("a space before the colon", "Transfer-Encoding ‖: chunked"),
  ...brokenBeside("a tab before the colon", "Transfer-Encoding\t‖: chunked"),
  ...brokenBeside("a space for the hyphen", "Transfer ‖Encoding: chunked"),
  ...brokenBeside("a space before the name", " ‖Transfer-Encoding: chunked"),
  ...brokenBeside("a tab before the name", "\t‖Transfer-Encoding: chunked"),
  ...brokenBeside("a colon before the name", ":‖Transfer-Encoding: chunked"),
  ...brokenBeside("a semicolon before the colon", "Transfer-Encoding;‖: chunked"),
  ...brokenBeside("NUL in the name", "Transfer\0‖-Encoding: chunked"),
  ...brokenBeside("NUL after the name", "Transfer-Encoding\0‖: chunked"),
  ...brokenBeside("an underscore in the name, and NUL after it", "Transfer_Encoding\0‖: chunked"),
  ...brokenBeside("a dotless i in the name", "Transfer-Encod\xc4‖\xb1ng: chunked"),
  ...brokenBeside("a byte order mark before the name", "\xef‖\xbb\xbfTransfer-Encoding: chunked"),
  ...brokenBeside("a name on a line of its own", "Transfer-Encoding\r‖\n: chunked"),
  ...brokenBeside("a value on the next line", "Transfer-Encoding:\r\n ‖chunked"),
  ...brokenBeside("a value folded in the middle", "Transfer-Encoding: chun\r\n\t‖ked"),
  ...brokenBeside("a vertical tab before the value", "Transfer-Encoding: \x0b‖chunked"),
  ...brokenBeside("a vertical tab for the space", "Transfer-Encoding:\x0b‖chunked"),
  ...brokenBeside("a form feed before the value", "Transfer-Encoding: \x0c‖chunked"),
  ...brokenBeside("NUL before the value", "Transfer-Encoding: \0‖chunked"),
  ...brokenBeside("NUL in the value", "Transfer-Encoding: chu\0‖nked"),
  ...brokenBeside("NUL after the value", "Transfer-Encoding: chunked\0‖"),
  ...brokenBeside("DEL after the value", "Transfer-Encoding: chunked\x7f‖"),
  ...brokenBeside("a bare LF before the name", "X: y\n‖Transfer-Encoding: chunked"),
  ...brokenBeside("a bare CR before the name", "X: y\rT‖ransfer-Encoding: chunked"),
  ...brokenBeside("a bare LF after the value", "Transfer-Encoding: chunked\n‖X: y"),
  ...brokenBeside("two CR after the value", "Transfer-Encoding: chunked\r\r‖"),
  ...brokenBeside("LF and CR the wrong way round", "Transfer-Encoding: identity\n‖\rX: y"),
  ...brokenBeside("a head that a bare LF ends", "X: y\r\n\n‖"),
  ...brokenBeside("a head that a bare CR ends", "X: y\r\n\r0‖")
]

/** A length that two readers read as two numbers. */
const lengths: ReadonlyArray<Attack> = [
  judged("CL.CL: two lengths", "Content-Length: 0\r\nContent-Length: 44"),
  judged("CL.CL: two lengths, the larger first", "Content-Length: 5\r\nContent-Length: 0"),
  judged("CL.CL: two lengths, equal", "Content-Length: 5\r\nContent-Length: 5"),
  judged("CL.CL: two lengths of zero, in two cases", "Content-Length: 0\r\ncontent-length: 0"),
  judged("CL.CL: a list of lengths", "Content-Length: 5, 44"),
  judged("CL.CL: a list of equal lengths", "Content-Length: 5, 5"),
  judged("CL.CL: a plus", "Content-Length: +5"),
  judged("CL.CL: a minus", "Content-Length: -5"),
  judged("CL.CL: zero with a minus", "Content-Length: -0"),
  judged("CL.CL: a hexadecimal length", "Content-Length: 0x5"),
  judged("CL.CL: an exponent", "Content-Length: 5e0"),
  judged("CL.CL: a point", "Content-Length: 5.0"),
  judged("CL.CL: an underscore", "Content-Length: 4_4"),
  judged("CL.CL: an underscore after zero", "Content-Length: 0_5"),
  judged("CL.CL: a space in the middle", "Content-Length: 4 4"),
  judged("CL.CL: an empty length", "Content-Length:"),
  judged("CL.CL: a length with a no-break space", "Content-Length: \xa05"),
  judged("CL.CL: a superscript digit", "Content-Length: \xb2"),
  judged("CL.CL: a length that is 5 as 64 bits", "Content-Length: 18446744073709551621", 413),
  judged("CL.CL: a length that is 5 as 32 bits", "Content-Length: 4294967301", 413),
  broken("CL.CL: a space before the colon", "Content-Length ‖: 44"),
  broken("CL.CL: a vertical tab after a length", "Content-Length: 5\x0b‖"),
  broken("CL.CL: a length on the next line", "Content-Length:\r\n ‖5")
]

const inChunks = (title: string, body: string, status = 400): Attack =>
  attack(title, `${head("Transfer-Encoding: chunked")}${body}${smuggled}`, status)

/** Attacks within a body of chunks, whose end two readers find at different places: the head of each is right. */
export const attacksInChunks: ReadonlyArray<Attack> = [
  inChunks("a chunk size with a sign", "+‖0\r\n\r\n"),
  inChunks("a negative chunk size", "-‖1\r\n\r\n"),
  inChunks("a chunk size with 0x", "0x‖0\r\n\r\n"),
  inChunks("a chunk size with an underscore", "0_‖0\r\n\r\n"),
  inChunks("a space before a chunk size", " ‖0\r\n\r\n"),
  inChunks("a space after a chunk size", "0 \r‖\n\r\n"),
  inChunks("a NUL after a chunk size", "0\0‖\r\n\r\n"),
  inChunks("no chunk size", "\r‖\n\r\n"),
  inChunks("an extension without a chunk size", ";‖a\r\n\r\n"),
  inChunks("a chunk size that is 5 as 64 bits", "10000000000000005‖\r\nhello\r\n0\r\n\r\n"),
  inChunks("a chunk size that is 5 as 32 bits", "100000005\r‖\nhello\r\n0\r\n\r\n", 413),
  inChunks("a chunk size that a bare LF ends", "5\n‖hello\r\n0\r\n\r\n"),
  inChunks("a last chunk whose size a bare LF ends", "0\n‖\r\n"),
  inChunks("a chunk size that a bare CR ends", "0\r\r‖\n"),
  inChunks("TERM.EXT: a bare LF in an extension", `2;\n‖xx\r\n${(smuggled.length + 5).toString(16)}\r\n0\r\n\r\n`),
  inChunks("EXT.TERM: a bare CR in an extension", "2;\r‖xx\r\n0\r\n\r\n"),
  inChunks("EXT: a semicolon without an extension", "5;\r‖\nhello\r\n0\r\n\r\n"),
  inChunks("EXT: a value without a name", "5;=‖x\r\nhello\r\n0\r\n\r\n"),
  inChunks("EXT: a name without the value that it announces", "5;a=\r‖\nhello\r\n0\r\n\r\n"),
  inChunks("EXT: a quote that its line does not close", '5;a="b\r‖\nhello"\r\nhello\r\n0\r\n\r\n'),
  inChunks("EXT: a quote that only another line closes", '0;a="\r‖\n\r\n"\r\n\r\n'),
  inChunks("EXT: an escaped line end in quotes", '0;a="\\\r‖\n\r\n"\r\n\r\n'),
  inChunks("EXT: whitespace after the last extension", "0;a \r‖\n\r\n"),
  inChunks("EXT.TERM: a bare CR after the name of an extension", "5;a\rb‖\r\nhello\r\n0\r\n\r\n"),
  inChunks("a NUL in an extension", "0;a\0‖\r\n\r\n"),
  inChunks("TERM.SPILL: data that a bare LF ends", "5\r\nhello\n‖0\r\n\r\n"),
  inChunks("SPILL.TERM: data longer than its chunk", "5\r\nhelloX‖X\r\n0\r\n\r\n"),
  inChunks("data without a line end", "5\r\nhello0‖\r\n\r\n"),
  inChunks("a body that a bare LF ends", "0\r\n\n‖"),
  inChunks("a body that a bare CR ends", "0\r\n\rG‖"),
  inChunks("a second request as a trailer", "0\r\nGET ‖/smuggled HTTP/1.1\r\n\r\n"),
  inChunks("a bare LF after a trailer", "0\r\nX: y\n‖\r\n\r\n"),
  inChunks("a folded trailer", "0\r\nX: y\r\n ‖z\r\n\r\n")
]

/** Attacks within a head: no handler sees anything of them. */
export const attacksInHead: ReadonlyArray<Attack> = [...bothLengths, ...codings, ...repaired, ...lengths]

/** What looks like framing to a careless reader, and is a field like any other: one request, the hidden one its body. */
export const harmless: ReadonlyArray<readonly [title: string, line: string]> = [
  ["an underscore for the hyphen", "Transfer_Encoding: chunked"],
  ["a prefix", "X-Transfer-Encoding: chunked"],
  ["a letter too much", "Transfer-Encodings: chunked"],
  ["a letter too few", "Transfer-Encodin: chunked"],
  ["a dot for the hyphen", "Transfer.Encoding: chunked"],
  ["TE, which asks for a response", "TE: chunked"],
  ["another length with an underscore", "Content_Length: 0"],
  ["another length with a prefix", "X-Content-Length: 0"],
  ["Connection that names the length away", "Connection: Content-Length"],
  ["the framing as a value", "X: Transfer-Encoding: chunked"],
  ["an upgrade to another protocol that is not accepted", "Connection: upgrade\r\nUpgrade: h2c"]
]
