/** RFC 9112 §7: the chunked coding. */
import { reads } from "../../fixtures/messages/message.js"
import { otherRows, provesByRows, rowsById } from "./proofs.js"

const withExtension = (id: string, title: string, extension: string) =>
  reads(
    id,
    title,
    `POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n2${extension}\r\nhi\r\n0${extension}\r\n\r\n`,
    { method: "POST", fields: ["Host", "example.org", "Transfer-Encoding", "chunked"], body: "hi" }
  )

// The last of them is the known deviation.
provesByRows(
  "9112/7.1/decode",
  rowsById("body-without-any-chunk", "hexadecimal-sizes", "data-like-framing", "size-17-digits")
)
provesByRows(
  "9112/7.1/overflow",
  rowsById(
    "size-17-digits",
    "size-17-digits-incomplete",
    "size-beyond-default-bound",
    "size-beyond-safe-integers",
    "size-16-digits-largest",
    "size-beyond-safe-integers-without-limit"
  )
)
provesByRows(
  "9112/7.1/parameters",
  rowsById("codings-parameter-chunked", "codings-parameter", "codings-parameter-empty")
)
provesByRows("9112/7.1.1/extensions", [
  ...rowsById("obs-text-in-extension", "accepted-extensions"),
  withExtension("extension-value", "an extension with a value", ";a=b"),
  withExtension("several-extensions", "several extensions", ";a;b=c;d"),
  withExtension("extension-whitespace", "whitespace in front of an extension, and in it", " \t; a = b"),
  withExtension("extension-quoted-semicolon", "an extension in quotes, with a semicolon in them", ';a="b;c\\""'),
  withExtension("extension-like-size", "an extension that looks like a size", ";5")
])
provesByRows("9112/7.1.2/trailers", rowsById("trailers-in-their-order-repeated"))
provesByRows("9112/7.1.2/merged", rowsById("dropped-trailers"))
provesByRows("9112/7.2/parameters", rowsById("compression-coding-parameter-before-chunked"))
otherRows("RFC 9112 §7: other chunks and trailers", [
  "coding-mixed-case",
  "rejected-chunk-sizes",
  "empty-line-before-second-chunk",
  "size-ends-in-bare-lf",
  "size-ends-in-bare-cr",
  "size-ends-in-two-cr",
  "last-chunk-ends-in-bare-lf",
  "space-after-size",
  "space-another-digit",
  "bare-lf-in-extension",
  "bare-cr-in-extension",
  "nul-in-extension",
  "rejected-extensions",
  "malformed-extension-later-chunk",
  "malformed-extension-last-chunk",
  "data-longer-chunk",
  "data-shorter-chunk",
  "data-ends-in-bare-lf",
  "data-ends-in-bare-cr",
  "trailer-space-before-colon",
  "trailer-without-colon",
  "trailer-without-name",
  "folded-trailer",
  "whitespace-before-first-trailer",
  "nul-in-trailer",
  "bare-cr-in-trailer",
  "bare-lf-after-trailer",
  "trailer-dropped-must-well-formed-too",
  "body-ends-in-bare-lf",
  "body-ends-in-bare-cr",
  "second-last-chunk",
  "chunk-extensions-one-over",
  "whitespace-before-extension-counts",
  "trailer-section-one-over",
  "trailers-one-over"
])
