/** The names of a form's fields and files arrive as they were sent (RFC 7578 §5.1; HTML's three escapes). */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { bodyOf, boundary, bytesOf, disposed, part, partsIn, type Seen, send, servingParts } from "./form.js"

const field = (name: string, value = "content", type = "text/plain"): Seen => ({ field: name, value, type })

const file = (key: string, name: string, content = "content", type = "application/octet-stream"): Seen => ({
  file: key,
  name,
  content,
  type
})

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1")

describe("a form sent to multipartStream", () => {
  const rows: ReadonlyArray<readonly [what: string, parameters: string | Uint8Array, expected: Seen]> = [
    // Beyond Latin-1.
    ["a field in Cyrillic", 'name="имя"', field("имя")],
    ["a file in Japanese", 'name="f"; filename="日本.pdf"', file("f", "日本.pdf")],
    ["a file in Polish", 'name="f"; filename="Łódź.txt"', file("f", "Łódź.txt")],
    ["an emoji, which is two characters of UTF-16", 'name="😀"; filename="👩‍👧.png"', file("😀", "👩‍👧.png")],
    ["letters of Latin-1", 'name="é"; filename="ü.txt"', file("é", "ü.txt")],
    ["a name that ends in a byte which Latin-1 takes for a space", "name=à", field("à")],
    // The escapes of HTML.
    ["%22 for a quote", 'name="a%22b"; filename="%22.txt"', file('a"b', '".txt')],
    ["%0D%0A for a line end", 'name="a%0D%0Ab"; filename="c%0Ad"', file("a\r\nb", "c\nd")],
    ["a percent sign", 'name="%"; filename="100%.txt"', file("%", "100%.txt")],
    ["a percent sign before hex digits", 'name="f"; filename="%E4.txt"', file("f", "%E4.txt")],
    ["a percent sign before 25", 'name="f"; filename="a%2522.txt"', file("f", "a%2522.txt")],
    ["an escape in lower case, which no browser writes", 'name="f"; filename="a%0a%0d"', file("f", "a%0a%0d")],
    // Backslashes: a browser's is a character, and others quote with it.
    ["a path of Windows", 'name="f"; filename="C:\\dir\\a.txt"', file("f", "C:\\dir\\a.txt")],
    ["a path that begins with two backslashes", 'name="f"; filename="\\\\host\\a.txt"', file("f", "\\\\host\\a.txt")],
    ["a name that ends in a backslash", 'name="a\\"; filename="b\\"', file("a\\", "b\\")],
    ["a quote after a backslash", 'name="a\\"b"; filename="c\\"d.txt"', file('a"b', 'c"d.txt')],
    ["a backslash after a backslash, beside such a quote", 'name="a\\"b\\\\c"', field('a"b\\c')],
    ["a quote and a semicolon after a backslash", 'name="a\\"; b=\\"c"', field('a"; b="c')],
    // Characters with a meaning in other formats.
    ["a semicolon", 'name="a;b"; filename="c;d.txt"', file("a;b", "c;d.txt")],
    ["an equals sign", 'name="a=b"; filename="c=d.txt"', file("a=b", "c=d.txt")],
    ["another parameter's name", 'name="filename=x"; filename="name=y"', file("filename=x", "name=y")],
    ["spaces around", 'name=" a "; filename=" b "', file(" a ", " b ")],
    ["a tab", 'name="a\tb"', field("a\tb")],
    ["control characters", 'name="a\x00b\x01"; filename="c\x1f\x7f.txt"', file("a\x00b\x01", "c\x1f\x7f.txt")],
    ["nothing", 'name=""', field("")],
    ["no name of a file", 'name="f"; filename=""', file("f", "")],
    ["no quotes", "name=f; filename=a.txt", file("f", "a.txt")],
    ["no quotes around a space", "name=f; filename=a b.txt ; x=y", file("f", "a b.txt")],
    ["a property of every object", 'name="__proto__"', field("__proto__")],
    // The field line around the names.
    ["no space after the semicolon", 'name="f";filename="a.txt"', file("f", "a.txt")],
    ["spaces around the equals sign", 'name = "f" ; filename= "a.txt"', file("f", "a.txt")],
    ["parameters in upper case", 'NAME="F"; FileName="A.txt"', file("F", "A.txt")],
    ["the file's name first", 'filename="a.txt"; name="f"', file("f", "a.txt")],
    ["an unknown parameter", 'name="f"; size=7; filename="a.txt"', file("f", "a.txt")],
    ["a semicolon at the end", 'name="f";', field("f")],
    ["filename* beside it", `name="f"; filename="a.txt"; filename*=UTF-8''b.txt`, file("f", "a.txt")],
    ["filename* before it, undecodable", `name="f"; filename*=UTF-8''%ff; filename="a.txt"`, file("f", "a.txt")],
    ["bytes that are no UTF-8", bytesOf('name="a', latin1("\xff"), 'b"'), field("a\ufffdb")]
  ]

  for (const [what, parameters, expected] of rows) {
    it.scopedLive(`has the name as it was sent: ${what}`, () =>
      Effect.gen(function* () {
        const response = yield* send(yield* servingParts, bodyOf(disposed(parameters)))
        expect([response.status, partsIn(response)]).toStrictEqual([200, [expected]])
      })
    )
  }

  it.scopedLive("has the fields of a part in any case, folded, and with whitespace around", () =>
    Effect.gen(function* () {
      const parts = bodyOf(
        part(['CONTENT-DISPOSITION: Form-Data; name="a"', "content-TYPE:\ttext/csv \t"]),
        part(['Content-Disposition:form-data;\r\n name="b";\r\n\tfilename="long.txt"']),
        part(["X-Other: \x01", 'Content-Disposition: form-data; name="c"', "MIME-Version: 1.0"])
      )
      expect(partsIn(yield* send(yield* servingParts, parts))).toStrictEqual([
        field("a", "content", "text/csv"),
        file("b", "long.txt"),
        field("c")
      ])
    })
  )

  it.scopedLive("has the type of a part without its parameters, and text by its charset", () =>
    Effect.gen(function* () {
      const parts = bodyOf(
        part(['Content-Disposition: form-data; name="a"', "Content-Type: text/plain;charset=ISO-8859-1"], latin1("é")),
        part(
          ['Content-Disposition: form-data; name="b"', 'Content-Type: text/plain; charset="koi8-r"'],
          latin1("\xc1")
        ),
        part(['Content-Disposition: form-data; name="c"', "Content-Type: text/plain; charset=unknown"], "é"),
        part(['Content-Disposition: form-data; name="d"', "Content-Type: application/json"], "{}"),
        part(['Content-Disposition: form-data; name="e"; filename="e"', "Content-Type: no type"], "e"),
        part(['Content-Disposition: form-data; name="f"'], "\ufefff")
      )
      expect(partsIn(yield* send(yield* servingParts, parts))).toStrictEqual([
        field("a", "é"),
        field("b", "а"),
        field("c", "é"),
        field("d", "{}", "application/json"),
        file("e", "e", "e"),
        field("f", "\ufefff")
      ])
    })
  )

  it.scopedLive("is in the charset that its field _charset_ names (RFC 7578 §4.6)", () =>
    Effect.gen(function* () {
      const cyrillic = latin1("\xe8\xec\xff")
      const parts = bodyOf(
        disposed('name="_charset_"', "windows-1251"),
        disposed(bytesOf('name="', cyrillic, '"'), cyrillic),
        disposed(bytesOf('name="f"; filename="', cyrillic, '.txt"'), "content"),
        part(['Content-Disposition: form-data; name="own"', "Content-Type: text/plain; charset=utf-8"], "имя")
      )
      expect(partsIn(yield* send(yield* servingParts, parts))).toStrictEqual([
        field("_charset_", "windows-1251"),
        field("имя", "имя"),
        file("f", "имя.txt"),
        field("own", "имя")
      ])
    })
  )

  for (const charset of ["utf-8", "UTF8", "unknown", "", "utf-16le", "x".repeat(1000)]) {
    it.scopedLive(`is in UTF-8 with a field _charset_ of ${JSON.stringify(charset.slice(0, 10))}`, () =>
      Effect.gen(function* () {
        const parts = bodyOf(disposed('name="_charset_"', charset), disposed('name="имя"', "имя"))
        expect(partsIn(yield* send(yield* servingParts, parts))[1]).toStrictEqual(field("имя", "имя"))
      })
    )
  }

  const malformed: ReadonlyArray<readonly [what: string, part: Uint8Array]> = [
    ["no Content-Disposition", part(["Content-Type: text/plain"])],
    ["no field line", part([])],
    ["a Content-Disposition without a name", part(['Content-Disposition: form-data; filename="a"'])],
    ["another disposition", part(['Content-Disposition: attachment; name="a"'])],
    [
      "two Content-Dispositions",
      part(['Content-Disposition: form-data; name="a"', 'Content-Disposition: x; name="b"'])
    ],
    ["two names", disposed('name="a"; name="b"')],
    ["two names of a file", disposed('name="a"; filename="b"; filename="c"')],
    ["filename* alone", disposed("name=a; filename*=UTF-8''b")],
    ["a quote that does not end", disposed('name="a')],
    ["text after a quoted name", disposed('name="a" b')],
    ["a field line without a colon", part(['Content-Disposition: form-data; name="a"', "x"])],
    ["whitespace before the colon", part(['Content-Disposition : form-data; name="a"'])],
    ["a bare CR", disposed('name="a\rb"')],
    ["a bare LF", disposed('name="a\nb"')]
  ]

  for (const [what, sent] of malformed) {
    it.scopedLive(`gets 400 for a part with ${what}`, () =>
      Effect.gen(function* () {
        expect((yield* send(yield* servingParts, bodyOf(sent))).status).toBe(400)
      })
    )
  }
})

describe("the boundary of a form", () => {
  const formWith = (boundary: string): Buffer =>
    Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\ncontent\r\n--${boundary}--`)

  const boundaries: ReadonlyArray<readonly [parameter: string, boundary: string]> = [
    ['boundary="plain"', "plain"],
    ['Boundary="a b"', "a b"],
    [`boundary="'()+_,-./:=?"`, "'()+_,-./:=?"],
    ["boundary=a'()+_,-./:=?", "a'()+_,-./:=?"],
    ["charset=utf-8; boundary=====b====; x=y", "====b===="],
    ['boundary="a\\"b"', 'a"b'],
    ["boundary=------------------------d74496d66958873e", "------------------------d74496d66958873e"],
    [`boundary=${"x".repeat(70)}`, "x".repeat(70)]
  ]

  for (const [parameter, boundary] of boundaries) {
    it.scopedLive(`is read of ${parameter}`, () =>
      Effect.gen(function* () {
        const response = yield* send(yield* servingParts, formWith(boundary), `multipart/form-data; ${parameter}`)
        expect([response.status, partsIn(response)]).toStrictEqual([200, [field("a")]])
      })
    )
  }

  for (const type of [
    "multipart/form-data",
    "multipart/form-data; boundary=",
    'multipart/form-data; boundary=""',
    `multipart/form-data; boundary=${"x".repeat(71)}`,
    "multipart/form-data; boundary=a; boundary=b",
    "text/plain; boundary=a",
    "multipart; boundary=a"
  ]) {
    it.scopedLive(`is invalid, which gets 400, in ${type.slice(0, 60)}`, () =>
      Effect.gen(function* () {
        expect((yield* send(yield* servingParts, formWith("a"), type)).status).toBe(400)
      })
    )
  }

  const whole = bodyOf(disposed('name="a"', "1"), disposed('name="b"', "2"))
  const both = [field("a", "1"), field("b", "2")]

  for (const [what, body] of [
    ["a preamble", bytesOf("This is a form.\r\n", whole)],
    ["an empty line before it", bytesOf("\r\n", whole)],
    ["an epilogue", bytesOf(whole, `the end\r\n--${boundary}\r\nno: part`)],
    ["no line end after it", whole.subarray(0, -2)],
    ["whitespace after it", Buffer.from(whole.toString().replaceAll(/boundary\r\n/g, "boundary \t \r\n"))]
  ] as const) {
    it.scopedLive(`may have ${what}`, () =>
      Effect.gen(function* () {
        expect(partsIn(yield* send(yield* servingParts, body))).toStrictEqual(both)
      })
    )
  }

  it.scopedLive("may follow a part that has no content, and not even an empty line for it", () =>
    Effect.gen(function* () {
      const empty = `--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n`
      const body = bytesOf(empty, "\r\n", empty, "\r\n\r\n", `--${boundary}--`)
      expect(partsIn(yield* send(yield* servingParts, body))).toStrictEqual([field("a", ""), field("a", "")])
    })
  )

  it.scopedLive("is not what looks like it in the content", () =>
    Effect.gen(function* () {
      const content = `-${boundary}\r--${boundary}\n--${boundary}\r\n-${boundary}\r\n--bound\r\n\r\n`
      const body = bodyOf(disposed('name="a"', content), disposed('name="b"; filename="b"', content))
      expect(partsIn(yield* send(yield* servingParts, body))).toStrictEqual([
        field("a", content),
        file("b", "b", content)
      ])
    })
  )

  for (const [what, body] of [
    ["ends in LF alone", Buffer.from(whole.toString().replaceAll("\r\n", "\n"))],
    ["is followed by other text", Buffer.from(whole.toString().replace(`--${boundary}\r\n`, `--${boundary}x\r\n`))],
    ["does not occur", bytesOf("--other\r\n")],
    ["does not close the form", whole.subarray(0, -4)],
    ["is not there, as there is no body", Buffer.alloc(0)]
  ] as const) {
    it.scopedLive(`makes a form malformed that ${what}`, () =>
      Effect.gen(function* () {
        expect((yield* send(yield* servingParts, body)).status).toBe(400)
      })
    )
  }
})
