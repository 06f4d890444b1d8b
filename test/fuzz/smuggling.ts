/**
 * Request smuggling as it is known from the literature: framing that two readers on the way could understand
 * differently, with a second request hidden where one of them would find it.
 *
 * In each row `‖` stands behind the byte at which the refusal must come: not a byte earlier, and no byte of what is
 * behind it is ever looked at.
 */

export interface Attack {
  readonly title: string
  /** The bytes up to and with the one that is refused; latin1. */
  readonly refused: string
  /** What comes behind them: the hidden request is in it. */
  readonly hidden: string
  readonly status: number
  /** What the handler sees of the request itself: nothing, or a request whose body fails. */
  readonly seen: ReadonlyArray<string>
}

export const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

const attack = (title: string, text: string, status: number, seen: ReadonlyArray<string> = []): Attack => {
  const [refused, hidden, ...more] = text.split("‖")
  if (refused === undefined || hidden === undefined || more.length > 0) throw new Error(`one ‖ is missing: ${title}`)
  return { title, refused, hidden, status, seen }
}

/** The body that a reader of Content-Length and one of chunks end at different places. */
const twoEnds = `0\r\n\r\n${smuggled}`

/** A row that is judged when its head is whole. */
const judged = (title: string, lines: string, status = 400, version = "HTTP/1.1"): Attack =>
  attack(title, `POST /victim ${version}\r\nHost: a\r\n${lines}\r\n\r\n‖${twoEnds}`, status)

/** A row that is refused within its field lines, at the mark. */
const broken = (title: string, lines: string): Attack =>
  attack(title, `POST /victim HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n${lines}\r\n\r\n${twoEnds}`, 400)

/** A row whose head is right, and whose chunks are refused at the mark. */
const inChunks = (title: string, body: string, status = 400): Attack =>
  attack(title, `POST /victim HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}${smuggled}`, status, [
    "/victim"
  ])

const inField = (title: string, value: string, status = 400): Attack =>
  judged(title, `Transfer-Encoding: ${value}`, status)

export const attacks: ReadonlyArray<Attack> = [
  // Both lengths: whichever wins, somebody else has taken the other.
  judged("CL.TE: a length that ends behind the chunks", "Content-Length: 6\r\nTransfer-Encoding: chunked"),
  judged("CL.TE: a length that ends before the chunks", "Content-Length: 3\r\nTransfer-Encoding: chunked"),
  judged("CL.0: a length of zero beside chunks", "Content-Length: 0\r\nTransfer-Encoding: chunked"),
  judged("TE.CL: chunks before a length", "Transfer-Encoding: chunked\r\nContent-Length: 4"),
  judged("TE.CL: other fields between them", "Transfer-Encoding: chunked\r\nX: y\r\nAccept: */*\r\nContent-Length: 4"),
  judged("TE.CL: names and coding in other cases", "tRANSFER-eNCODING: cHUNKED\r\ncONTENT-lENGTH: 4"),
  judged("TE.CL: no space behind the colons", "Transfer-Encoding:chunked\r\nContent-Length:4"),
  judged("TE.CL: tabs around the coding", "Transfer-Encoding:\tchunked\t\r\nContent-Length: 4"),
  judged(
    "TE.CL: Connection names the coding away",
    "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\nContent-Length: 4"
  ),
  judged("TE.CL: an unknown coding beside a length", "Transfer-Encoding: x\r\nContent-Length: 4"),
  judged("TE.CL: an empty coding beside a length", "Transfer-Encoding:\r\nContent-Length: 4"),
  judged("TE in HTTP/1.0, where nobody knows chunks", "Transfer-Encoding: chunked", 400, "HTTP/1.0"),
  judged(
    "TE in HTTP/1.0, kept alive, beside a length",
    "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 4",
    400,
    "HTTP/1.0"
  ),

  // TE.TE: a coding that one reader takes for chunked, and another does not.
  inField("TE.TE: xchunked", "xchunked"),
  inField("TE.TE: chunkedx", "chunkedx"),
  inField("TE.TE: chunk", "chunk"),
  inField("TE.TE: a word before chunked", "cow chunked"),
  inField("TE.TE: chunked twice in a row", "chunked chunked"),
  inField("TE.TE: chunked twice in a list", "chunked, chunked"),
  inField("TE.TE: chunked, then identity", "chunked, identity"),
  inField("TE.TE: identity, then chunked", "identity, chunked", 501),
  inField("TE.TE: gzip, then chunked", "gzip, chunked", 501),
  inField("TE.TE: identity", "identity"),
  inField("TE.TE: an empty value", ""),
  inField("TE.TE: a comma behind chunked", "chunked,"),
  inField("TE.TE: a comma before chunked", ",chunked"),
  inField("TE.TE: a parameter of chunked", "chunked;q=1"),
  inField("TE.TE: a semicolon behind chunked", "chunked;"),
  inField("TE.TE: chunked in double quotes", '"chunked"'),
  inField("TE.TE: chunked in single quotes", "'chunked'"),
  inField("TE.TE: chunked in brackets", "[chunked]"),
  inField("TE.TE: chunked, escaped", "chu\\nked"),
  inField("TE.TE: a quote that is never closed", 'x;a="b, chunked'),
  inField("TE.TE: a no-break space before chunked", "\xa0chunked"),
  inField("TE.TE: a next-line character before chunked", "\x85chunked"),
  inField("TE.TE: the highest byte behind chunked", "chunked\xff"),
  inField("TE.TE: the K of Kelvin in chunked", "chun\xe2\x84\xaaed"),
  judged("TE.TE: chunked and x in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
  judged("TE.TE: x and chunked in two fields", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked", 501),
  judged("TE.TE: chunked in two fields", "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked"),
  judged("TE.TE: chunked and nothing in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding:"),

  // Names and line ends that one reader repairs, and another does not.
  broken("a space before the colon", "Transfer-Encoding ‖: chunked"),
  broken("a tab before the colon", "Transfer-Encoding\t‖: chunked"),
  broken("a space for the hyphen", "Transfer ‖Encoding: chunked"),
  broken("a space for the colon", "Transfer-Encoding ‖chunked"),
  broken("a space before the name", " ‖Transfer-Encoding: chunked"),
  broken("a tab before the name", "\t‖Transfer-Encoding: chunked"),
  broken("a colon before the name", ":‖Transfer-Encoding: chunked"),
  broken("a semicolon before the colon", "Transfer-Encoding;‖: chunked"),
  broken("NUL in the name", "Transfer\0‖-Encoding: chunked"),
  broken("NUL behind the name", "Transfer-Encoding\0‖: chunked"),
  broken("a dotless i in the name", "Transfer-Encod\xc4‖\xb1ng: chunked"),
  broken("a byte order mark before the name", "\xef‖\xbb\xbfTransfer-Encoding: chunked"),
  broken("a name on a line of its own", "Transfer-Encoding\r‖\n: chunked"),
  broken("a value on the next line", "Transfer-Encoding:\r\n ‖chunked"),
  broken("a value folded in the middle", "Transfer-Encoding: chun\r\n\t‖ked"),
  broken("a vertical tab before the value", "Transfer-Encoding: \x0b‖chunked"),
  broken("a form feed before the value", "Transfer-Encoding: \x0c‖chunked"),
  broken("NUL before the value", "Transfer-Encoding: \0‖chunked"),
  broken("NUL behind the value", "Transfer-Encoding: chunked\0‖"),
  broken("DEL behind the value", "Transfer-Encoding: chunked\x7f‖"),
  broken("a bare LF before the name", "X: y\n‖Transfer-Encoding: chunked"),
  broken("a bare CR before the name", "X: y\rT‖ransfer-Encoding: chunked"),
  broken("a bare LF behind the value", "Transfer-Encoding: chunked\n‖X: y"),
  broken("two CR behind the value", "Transfer-Encoding: chunked\r\r‖"),
  broken("LF and CR the wrong way round", "Transfer-Encoding: chunked\n‖\rX: y"),
  broken("a head that a bare LF ends", "X: y\r\n\n‖"),
  broken("a head that a bare CR ends", "X: y\r\n\r0‖"),

  // CL.CL: a length that two readers read as two numbers.
  judged("CL.CL: two lengths", "Content-Length: 0\r\nContent-Length: 44"),
  judged("CL.CL: two lengths, equal", "Content-Length: 5\r\nContent-Length: 5"),
  judged("CL.CL: a list of lengths", "Content-Length: 5, 44"),
  judged("CL.CL: a list of equal lengths", "Content-Length: 5, 5"),
  judged("CL.CL: a plus", "Content-Length: +5"),
  judged("CL.CL: a minus", "Content-Length: -5"),
  judged("CL.CL: a hexadecimal length", "Content-Length: 0x5"),
  judged("CL.CL: an exponent", "Content-Length: 5e0"),
  judged("CL.CL: a point", "Content-Length: 5.0"),
  judged("CL.CL: an underscore", "Content-Length: 4_4"),
  judged("CL.CL: a space in the middle", "Content-Length: 4 4"),
  judged("CL.CL: an empty length", "Content-Length:"),
  judged("CL.CL: a length with a no-break space", "Content-Length: \xa05"),
  judged("CL.CL: a superscript digit", "Content-Length: \xb2"),
  judged("CL.CL: a length that is 5 as 64 bits", "Content-Length: 18446744073709551621", 413),
  judged("CL.CL: a length that is 5 as 32 bits", "Content-Length: 4294967301", 413),
  attack(
    "CL.CL: a space before the colon",
    `POST /victim HTTP/1.1\r\nHost: a\r\nContent-Length ‖: 44\r\n\r\n${twoEnds}`,
    400
  ),

  // Chunks whose end two readers find at different places.
  inChunks("a chunk size with a sign", "+‖0\r\n\r\n"),
  inChunks("a negative chunk size", "-‖1\r\n\r\n"),
  inChunks("a chunk size with 0x", "0x‖0\r\n\r\n"),
  inChunks("a chunk size with an underscore", "0_‖0\r\n\r\n"),
  inChunks("a space before a chunk size", " ‖0\r\n\r\n"),
  inChunks("a space behind a chunk size", "0 \r‖\n\r\n"),
  inChunks("a NUL behind a chunk size", "0\0‖\r\n\r\n"),
  inChunks("no chunk size", "\r‖\n\r\n"),
  inChunks("an extension without a chunk size", ";‖a\r\n\r\n"),
  inChunks("a chunk size that is 5 as 64 bits", "10000000000000005‖\r\nhello\r\n0\r\n\r\n"),
  inChunks("a chunk size that is 5 as 32 bits", "100000005\r‖\nhello\r\n0\r\n\r\n", 413),
  inChunks("a chunk size that a bare LF ends", "0\n‖\r\n"),
  inChunks("a chunk size that a bare CR ends", "0\r\r‖\n"),
  inChunks("TERM.EXT: a bare LF in an extension", `2;\n‖xx\r\n${(smuggled.length + 5).toString(16)}\r\n0\r\n\r\n`),
  inChunks("EXT.TERM: a bare CR in an extension", "2;\rx‖x\r\n0\r\n\r\n"),
  inChunks("a NUL in an extension", "0;a\0‖\r\n\r\n"),
  inChunks("TERM.SPILL: data that a bare LF ends", "5\r\nhello\n‖0\r\n\r\n"),
  inChunks("SPILL.TERM: data longer than its chunk", "5\r\nhelloX‖X\r\n0\r\n\r\n"),
  inChunks("data without a line end", "5\r\nhello0‖\r\n\r\n"),
  inChunks("two bytes of anything behind data", "5\r\nhelloA‖B0\r\n\r\n"),
  inChunks("a body that a bare LF ends", "0\r\n\n‖"),
  inChunks("a body that a bare CR ends", "0\r\n\rG‖"),
  inChunks("a second request as a trailer", "0\r\nGET ‖/smuggled HTTP/1.1\r\n\r\n"),
  inChunks("a bare LF behind a trailer", "0\r\nX: y\n‖\r\n\r\n"),
  inChunks("a folded trailer", "0\r\nX: y\r\n ‖z\r\n\r\n")
]

/** What looks like framing to a careless reader, and is a field like any other: one request, the hidden one its body. */
export const harmless: ReadonlyArray<readonly [title: string, line: string]> = [
  ["an underscore for the hyphen", "Transfer_Encoding: chunked"],
  ["a prefix", "X-Transfer-Encoding: chunked"],
  ["a letter too much", "Transfer-Encodings: chunked"],
  ["a letter too few", "Transfer-Encodin: chunked"],
  ["a dot for the hyphen", "Transfer.Encoding: chunked"],
  ["TE, which asks for an answer", "TE: chunked"],
  ["another length with an underscore", "Content_Length: 0"],
  ["another length with a prefix", "X-Content-Length: 0"],
  ["Connection that names the length away", "Connection: Content-Length"],
  ["the framing as a value", "X: Transfer-Encoding: chunked"],
  ["an upgrade to another protocol that nobody takes", "Connection: upgrade\r\nUpgrade: h2c"]
]
