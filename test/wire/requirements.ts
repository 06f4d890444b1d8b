/**
 * Requirements of RFC 9112 (MUST, SHOULD, RECOMMENDED and their negations), in its order and paraphrased; and those of
 * RFC 9110 §2 to §15 for senders, recipients, servers and origin servers. Where the latter concern the responses of an
 * application, one line may stand for a section. The tests of rfc9112/ and rfc9110/ name the requirements they prove, each
 * for the native server and the drop-in; requirements.test.ts checks that none is missing, and generates the README's table.
 */

export type Level = "MUST" | "MUST NOT" | "SHOULD" | "SHOULD NOT" | "RECOMMENDED"

export interface Requirement {
  readonly level: Level
  readonly sentence: string
  /** Why it does not apply to an origin server, or to this one; `undefined` if it applies. */
  readonly notOurs?: string
  /** Why this server deviates in some case, which the requirement's test shows too. */
  readonly deviation?: string
  /** Why an application of `@effect/platform` cannot observe it; `undefined` if the drop-in is tested too. */
  readonly nativeOnly?: string
}

const ours = (level: Level, sentence: string): Requirement => ({ level, sentence })

const deviates = (level: Level, sentence: string, deviation: string): Requirement => ({ level, sentence, deviation })

/** A requirement that applies only to the API of the native server. */
const ofNativeAPI =
  (nativeOnly: string) =>
  (level: Level, sentence: string): Requirement => ({ level, sentence, nativeOnly })

const tunnels = ofNativeAPI("no response of @effect/platform is a tunnel")

const notOurs =
  (reason: string) =>
  (level: Level, sentence: string): Requirement => ({ level, sentence, notOurs: reason })

const client = notOurs("for clients")
const proxy = notOurs("for proxies and gateways")
const tls = ofNativeAPI("TLS belongs to the listener, which is the same for an application")
const author = notOurs("for authors of specifications")
const application = notOurs("decided by handlers")

/** By id: RFC, section, name. */
export const requirements = {
  "9112/2.2/octets": ours("MUST", "a message is read as octets, not as text"),
  "9112/2.2/bare-cr-sent": ours("MUST NOT", "no bare CR is sent outside of content"),
  "9112/2.2/bare-cr": ours("MUST", "an element with a bare CR in it is invalid"),
  "9112/2.2/extra-crlf": client("MUST NOT", "no extra CRLF is sent before or after a request"),
  "9112/2.2/counted-crlf": client("MUST", "a line end after a body is counted in its length"),
  "9112/2.2/empty-line": ours("SHOULD", "an empty line before a request line is ignored"),
  "9112/2.2/space-sent": ours("MUST NOT", "no whitespace is sent between start line and first field"),
  "9112/2.2/space-before-fields": ours("MUST", "whitespace before the first field is rejected"),
  "9112/2.2/grammar": ours(
    "SHOULD",
    "a message that does not match the grammar is rejected with 400, and the connection closed"
  ),
  "9112/2.3/forwarded-version": proxy("MUST", "forwarded messages carry the forwarder's own version"),
  "9112/2.3/downgrade": ours("SHOULD NOT", "a response is not downgraded to HTTP/1.0"),
  "9112/3/long-method": ours("SHOULD", "a method longer than any known is rejected with 501"),
  "9112/3/long-target": ours("MUST", "an overlong target is rejected with 414"),
  "9112/3/line-of-8000": ours("RECOMMENDED", "a request line of 8000 octets is accepted"),
  "9112/3.2/invalid-line": ours("SHOULD", "an invalid request line is rejected with 400"),
  "9112/3.2/corrected-line": ours("SHOULD NOT", "an invalid request line is not corrected and served"),
  "9112/3.2/host-sent": client("MUST", "every HTTP/1.1 request has Host"),
  "9112/3.2/host-of-target": client("MUST", "Host is the authority of the target URI"),
  "9112/3.2/empty-host-sent": client("MUST", "Host is empty when the target URI has no authority"),
  "9112/3.2/host": ours("MUST", "a Host that is missing from HTTP/1.1, repeated or invalid is rejected with 400"),
  "9112/3.2.1/origin-form-sent": client("MUST", "an origin server is sent path and query alone"),
  "9112/3.2.1/empty-path": client("MUST", "an empty path is sent as `/`"),
  "9112/3.2.2/absolute-form-sent": client("MUST", "a proxy is sent absolute-form"),
  "9112/3.2.2/host-with-it": client("MUST", "Host is sent with absolute-form too"),
  "9112/3.2.2/host-replaced": proxy("MUST", "a proxy replaces Host by the host of absolute-form"),
  "9112/3.2.2/host-made": proxy("MUST", "a proxy makes the Host that it forwards from the target"),
  "9112/3.2.2/host-ignored": ours("MUST", "the host of an absolute-form target is used, and Host ignored"),
  "9112/3.2.2/absolute-form": ours("MUST", "absolute-form is accepted"),
  "9112/3.2.3/authority-form-sent": client("MUST", "CONNECT is sent host and port alone"),
  "9112/3.2.4/asterisk-sent": client("MUST", "OPTIONS for the whole server is sent `*`"),
  "9112/3.2.4/asterisk-forwarded": proxy("MUST", "the last proxy turns an empty path of OPTIONS into `*`"),
  "9112/4/space-after-status": ours("MUST", "the space after the status is sent even without a phrase"),
  "9112/4/phrase-ignored": client("SHOULD", "the reason phrase is ignored"),
  "9112/5.1/space-before-colon": ours("MUST", "whitespace between name and colon is rejected with 400"),
  "9112/5.1/space-removed": proxy("MUST", "such whitespace is removed from responses"),
  "9112/5.2/fold-sent": ours("MUST NOT", "no folded line is sent"),
  "9112/5.2/fold": ours("MUST", "a folded line is rejected with 400"),
  "9112/5.2/fold-in-response": proxy("MUST", "a fold in a response is replaced, or the response by 502"),
  "9112/5.2/fold-read": client("MUST", "a fold in a response is read as spaces"),
  "9112/6.1/chunked": ours("MUST", "the chunked coding is understood"),
  "9112/6.1/chunked-twice": ours("MUST NOT", "chunked is not applied twice to a response"),
  "9112/6.1/chunked-last-sent": client("MUST", "a request with any coding ends in chunked"),
  "9112/6.1/coding-of-responses": ours(
    "MUST",
    "a response with a coding ends in chunked, or at the end of the connection"
  ),
  "9112/6.1/coding-where-none-may-be": ours("MUST NOT", "no Transfer-Encoding in 1xx and 204"),
  "9112/6.1/coding-of-connect": tunnels("MUST NOT", "no Transfer-Encoding in 2xx to CONNECT"),
  "9112/6.1/coding-to-old-servers": client("MUST NOT", "none to a server that may be HTTP/1.0"),
  "9112/6.1/coding-to-old-clients": ours("MUST NOT", "no Transfer-Encoding to an HTTP/1.0 client"),
  "9112/6.1/unknown-coding": ours("SHOULD", "an unknown coding is rejected with 501"),
  "9112/6.1/length-beside-coding": ours("MUST", "Content-Length together with Transfer-Encoding closes the connection"),
  "9112/6.1/coding-in-1.0": ours("MUST", "Transfer-Encoding in HTTP/1.0 is faulty framing, and closes the connection"),
  "9112/6.2/length-beside-coding-sent": ours("MUST NOT", "no Content-Length is sent together with Transfer-Encoding"),
  "9112/6.3/connect-framing": client("MUST", "framing of 2xx to CONNECT is ignored"),
  "9112/6.3/length-removed": proxy("MUST", "Content-Length together with Transfer-Encoding is not forwarded"),
  "9112/6.3/not-chunked-last": ours(
    "MUST",
    "codings that do not end in chunked are rejected with 400, and the connection closed"
  ),
  "9112/6.3/unrecoverable": ours("MUST", "an invalid Content-Length is an unrecoverable error"),
  "9112/6.3/invalid-length": ours("MUST", "an invalid Content-Length is rejected with 400, and the connection closed"),
  "9112/6.3/invalid-length-proxied": proxy("MUST", "an invalid one in a response becomes 502, and closes"),
  "9112/6.3/invalid-length-read": client("MUST", "an invalid one in a response closes the connection"),
  "9112/6.3/incomplete": ours("MUST", "a body shorter than its length is incomplete, and closes the connection"),
  "9112/6.3/delimited": ours("SHOULD", "a response is delimited by length or chunks whenever possible"),
  "9112/6.3/length-sent": client("SHOULD", "a known length is sent as Content-Length"),
  "9112/6.3/framing-sent": client("MUST", "a body is sent with a valid Content-Length, or in chunks"),
  "9112/6.3/chunks-to-old-servers": client("MUST NOT", "no chunks are sent to a server that may be HTTP/1.0"),
  "9112/6.3/extra-data": client("MUST NOT", "data after the last response is no response"),
  "9112/7.1/decode": deviates(
    "MUST",
    "a chunked body is decoded",
    "a chunk size of more than 16 digits is rejected with 400, even if it begins with zeros: a size line is bounded, as every line is, and no allowed body needs more digits"
  ),
  "9112/7.1/overflow": ours("MUST", "large chunk sizes neither overflow nor lose digits"),
  "9112/7.1/parameters": ours("SHOULD", "a parameter of chunked is an error"),
  "9112/7.1.1/extensions": ours("MUST", "unknown chunk extensions are ignored"),
  "9112/7.1.2/trailers": ours("MUST", "trailers are kept separate from the headers, or merged into them"),
  "9112/7.1.2/merged": ours("MUST NOT", "no trailer is merged into the headers unless its definition permits it"),
  "9112/7.2/parameters": ours("SHOULD", "a parameter of a compression coding is an error"),
  "9112/7.3/registration": author("MUST", "registrations have name, description and text"),
  "9112/7.3/overlap": author("MUST NOT", "names do not overlap with content codings"),
  "9112/7.3/q": author("SHOULD NOT", "no parameter is called q"),
  "9112/7.3/purpose": author("MUST", "codings serve the purpose of transfer codings"),
  "9112/7.4/chunked-in-te": client("MUST NOT", "TE does not name chunked"),
  "9112/7.4/te-option": client("MUST", "TE is listed in Connection"),
  "9112/8/incomplete": client("MUST", "an incomplete response is recorded as such"),
  "9112/9.2/outstanding": client("MUST", "outstanding requests are kept in order"),
  "9112/9.2/matched": client("MUST", "each response belongs to the first of them"),
  "9112/9.2/unasked": client("MUST NOT", "data without a request is no response"),
  "9112/9.2/unasked-closes": client("SHOULD", "such data closes the connection"),
  "9112/9.3/persistent": ours("SHOULD", "connections persist"),
  "9112/9.3/client-without": client("MUST", "a client without persistence sends close"),
  "9112/9.3/server-without": ours("MUST", "a server without persistence sends close in every final response"),
  "9112/9.3/unread-body": ours("MUST", "a request's body is read whole, or the connection closed after the response"),
  "9112/9.3/unread-response": client("MUST", "a response is read whole before the next request"),
  "9112/9.3/proxied-1.0": proxy("MUST NOT", "no persistence with an HTTP/1.0 client"),
  "9112/9.3.2/order": ours("MUST", "responses are sent in the order of their requests"),
  "9112/9.3.2/retry": client("SHOULD", "requests without a response are retried"),
  "9112/9.3.2/retry-pipelined": client("MUST NOT", "a retry is not pipelined at once"),
  "9112/9.3.2/idempotent": client("SHOULD NOT", "nothing is pipelined after a method that is not idempotent"),
  "9112/9.3.2/failed-pipeline": proxy("SHOULD", "a pipeline that failed is closed for the client to recover"),
  "9112/9.5/graceful": ours("SHOULD", "a timeout ends in a graceful close"),
  "9112/9.5/monitor": ours("SHOULD", "a close by the client is detected and handled at any time"),
  "9112/9.5/sustain": ours("SHOULD", "flow control throttles a slow reader, without closing"),
  "9112/9.5/monitor-sending": client("SHOULD", "responses are monitored while a body is sent"),
  "9112/9.5/cease": client("SHOULD", "a rejected body is not sent further"),
  "9112/9.6/close-wished": ours("SHOULD", "a sender that intends to close sends close"),
  "9112/9.6/close-is-last": client("MUST NOT", "nothing is sent after the request with close"),
  "9112/9.6/close-by-client": client("MUST", "the client closes after the response to it"),
  "9112/9.6/close-received": ours("MUST", "close from the client closes the connection after its response"),
  "9112/9.6/close-in-response": ours("SHOULD", "the response to close has close"),
  "9112/9.6/after-close-received": ours("MUST NOT", "no request after the client's close is processed"),
  "9112/9.6/close-sent": ours("MUST", "close in a response closes the connection after it"),
  "9112/9.6/after-close-sent": ours("MUST NOT", "no request after the server's close is processed"),
  "9112/9.6/cease-requests": client("MUST", "close in a response ends a client's requests"),
  "9112/9.6/assume-nothing": client("SHOULD NOT", "pipelined requests after it are not assumed to be processed"),
  "9112/9.7/application-data": tls("MUST", "HTTP is sent as TLS application data"),
  "9112/9.8/incomplete-close": client("SHOULD", "whole responses before an incomplete close count"),
  "9112/9.8/recovery": client("SHOULD", "an incomplete close is recovered from"),
  "9112/9.8/client-alert": client("MUST", "a closure alert is sent before closing"),
  "9112/9.8/prepared": tls("SHOULD", "an incomplete close of a client is expected"),
  "9112/9.8/server-alert": tls("MUST", "closure alerts are exchanged before closing"),
  "9112/10.1/enclosed-fold": application("MUST", "a fold in content of type message/http is read as spaces"),

  "9110/2.2/grammar": ours("MUST NOT", "nothing is sent that does not match the grammar"),
  "9110/2.2/other-roles": ours("MUST NOT", "nothing is sent that only clients or proxies send"),
  "9110/2.3/defensive": ours("SHOULD", "input may be malformed, and of any length"),
  "9110/2.3/own-lengths": application("MUST", "elements as long as those sent are accepted"),
  "9110/2.4/semantics": notOurs("covered by other requirements")(
    "MUST",
    "a message is interpreted by its defined semantics"
  ),
  "9110/3.3/same-client": ours("MUST NOT", "two requests on a connection are not assumed to come from one user agent"),
  "9110/4.1/uris-of-8000": ours("RECOMMENDED", "a URI of 8000 octets is accepted"),
  "9110/4.2.1/empty-host-sent": application("MUST NOT", "no http URI without a host is sent"),
  "9110/4.2.1/empty-host": ours("MUST", "an http URI with an empty host is rejected"),
  "9110/4.2.2/empty-host-sent": application("MUST NOT", "no https URI without a host is sent"),
  "9110/4.2.2/empty-host": ours("MUST", "an https URI with an empty host is rejected"),
  "9110/4.2.3/normalized": application("SHOULD NOT", "no two resources have URIs that are equal once normalized"),
  "9110/4.2.4/user-info-sent": application("MUST NOT", "no URI with user info is sent"),
  "9110/4.2.4/user-info": ours("SHOULD", "user info in a target is an error"),
  "9110/5.1/unrecognized": ours("SHOULD", "unknown fields and trailers are ignored"),
  "9110/5.3/repeated": deviates(
    "MUST NOT",
    "a field that is not a list is not sent on several lines",
    "a handler's lines of the same name are sent unchanged, except that Content-Length is allowed once: the server does not know which of the handler's fields are lists"
  ),
  "9110/5.3/head-first": ours("MUST NOT", "a request is not processed before its whole header section has arrived"),
  "9110/5.4/too-large": ours("MUST", "overlong fields are rejected with 4xx, never dropped"),
  "9110/5.5/space": ours("MUST", "whitespace around a value is not part of it"),
  "9110/5.5/definitions": author("SHOULD", "new fields have visible ASCII values"),
  "9110/5.5/opaque": ours("SHOULD", "other octets in a value are opaque"),
  "9110/5.5/control": ours("MUST", "CR, LF and NUL in a value are rejected"),
  "9110/5.6.1.1/empty-members": ours("MUST NOT", "no list sent has an empty member"),
  "9110/5.6.1.2/empty-members": deviates(
    "MUST",
    "empty members of a list are ignored",
    "`Transfer-Encoding: chunked,` is rejected with 400: parsers differ on whether that is chunked, which permits request smuggling"
  ),
  "9110/5.6.3/optional": ours("SHOULD", "optional whitespace is sent as one space where that is usual, or omitted"),
  "9110/5.6.3/bad-sent": ours("MUST NOT", "no bad whitespace (BWS) is sent"),
  "9110/5.6.3/bad": ours("MUST", "bad whitespace is accepted, and removed"),
  "9110/5.6.4/quoted-pair": ofNativeAPI("no headers of @effect/platform are split into lists")(
    "MUST",
    "a backslash in a quoted string stands for the character after it"
  ),
  "9110/5.6.4/quoted-pair-sent": application("SHOULD NOT", "nothing is quoted unnecessarily"),
  "9110/5.6.7/received": application("MUST", "all three forms of a date are accepted"),
  "9110/5.6.7/date": ours("MUST", "dates are sent as IMF-fixdate"),
  "9110/5.6.7/white-space": ours("MUST NOT", "no other whitespace is sent in a date"),
  "9110/5.6.7/two-digits": application("MUST", "a year of two digits is not more than 50 years ahead"),
  "9110/6.2/highest": ours(
    "SHOULD",
    "a response has the server's highest version, whatever the request's minor version"
  ),
  "9110/6.2/own-version": ours("MUST NOT", "no other version than HTTP/1.1 is sent"),
  "9110/6.2/minor": ours("SHOULD", "a higher minor version is served as HTTP/1.1"),
  "9110/6.5.1/sent": ofNativeAPI("no response of @effect/platform has trailers")(
    "MUST NOT",
    "no trailer is sent that concerns framing, routing or authentication"
  ),
  "9110/6.5.1/merged": ours("MUST NOT", "no trailer becomes a header"),
  "9110/6.5.1/needed": application("SHOULD NOT", "no trailer is sent that a client cannot do without"),
  "9110/6.5.2/lists": author("MUST", "trailers that may be repeated are defined as lists"),
  "9110/6.6.1/now": ours("SHOULD", "Date is the time at which the response was generated"),
  "9110/6.6.1/date": ours("MUST", "every 2xx, 3xx and 4xx response has Date"),
  "9110/6.6.1/no-clock": notOurs("for servers without a clock")("MUST NOT", "a server without a clock sends no Date"),
  "9110/6.6.2/announced": application("SHOULD", "Trailer names the trailers that will be sent"),
  "9110/7.1/forms": ours("MUST NOT", "`*` is allowed only for OPTIONS, `host:port` only for CONNECT"),
  "9110/7.4/scheme": ours("MUST", "a target that violates the rules of its scheme is rejected"),
  "9110/7.4/https": ours(
    "MUST",
    "a request for an https URI is rejected, unless it came over a secured connection or from a trusted gateway"
  ),
  "9110/7.6.1/listed": ours("MUST", "a connection-specific field is listed in Connection"),
  "9110/7.6.1/end-to-end": application("MUST NOT", "no other field is listed in Connection"),
  "9110/7.8/case-blind": ours("SHOULD", "protocol names are compared case-insensitively"),
  "9110/7.8/protocol": ours("MUST", "a 101 names the new protocol in Upgrade"),
  "9110/7.8/layers": application("MUST", "several protocols are named from the lowest layer up"),
  "9110/7.8/offered": ours("MUST NOT", "the protocol is not switched to one that the client did not offer"),
  "9110/7.8/upgrade-required": application("MUST", "a 426 names the protocol that is required"),
  "9110/7.8/honoured": application("MUST NOT", "no protocol is accepted that cannot serve the request"),
  "9110/7.8/named": ours("MUST", "a sent Upgrade is listed in Connection"),
  "9110/7.8/of-1.0": ours("MUST", "Upgrade in HTTP/1.0 is ignored"),
  "9110/7.8/continue-first": ours("MUST", "100 is sent before 101 if the client waits for both"),
  "9110/8.3/type": ours("SHOULD", "the server's own content has Content-Type"),
  "9110/8.3.3/multipart": application("MUST", "parts of a multipart body are separated by CRLF"),
  "9110/8.4/content-encoding": application("MUST", "Content-Encoding names the codings of the content, in their order"),
  "9110/8.4/identity": application("SHOULD NOT", "identity is no content coding"),
  "9110/8.4.1/aliases": application("SHOULD", "x-gzip and x-compress are gzip and compress"),
  "9110/8.6/length-of-head": ours("MUST NOT", "HEAD has the Content-Length of GET, or none"),
  "9110/8.6/length-of-304": ours("MUST NOT", "304 has the Content-Length of 200, or none"),
  "9110/8.6/length-where-none-may-be": ours("MUST NOT", "no Content-Length in 1xx and 204"),
  "9110/8.6/length-of-connect": tunnels("MUST NOT", "no Content-Length in 2xx to CONNECT"),
  "9110/8.6/length-known": ours("SHOULD", "a known length is sent as Content-Length"),
  "9110/8.6/overflow": ours("MUST", "large lengths neither overflow nor lose digits"),
  "9110/8.6/wrong-length": ours("MUST NOT", "no length is forwarded that is known to be wrong"),
  "9110/8.6/no-number": ours("MUST NOT", "no length is forwarded that is not one decimal number"),
  "9110/8.7/content-location": application("MUST", "Content-Location of a request changes nothing but its context"),
  "9110/8.8/validators": application("MUST", "validators are accurate, and no date lies in the future"),
  "9110/9.1/get-and-head": ours("MUST", "GET and HEAD are supported"),
  "9110/9.1/unknown-method": ours("SHOULD", "an unknown method is rejected with 501"),
  "9110/9.1/method-not-allowed": application("SHOULD", "a method that is not allowed is rejected with 405"),
  "9110/9.2.1/safe": application("MUST", "a safe method does not do what is unsafe"),
  "9110/9.3.1/content": application("SHOULD NOT", "no meaning is agreed upon for the content of GET, HEAD or DELETE"),
  "9110/9.3.2/head": ours("MUST NOT", "the response to HEAD has no content"),
  "9110/9.3.2/fields-of-head": ours("SHOULD", "HEAD has the fields of GET"),
  "9110/9.3.3/created": application("SHOULD", "a POST that created something gets 201"),
  "9110/9.3.4/put": application("MUST", "the response to PUT describes its effect, with validators of what is stored"),
  "9110/9.3.5/delete": application("SHOULD", "DELETE gets 202, 204 or 200"),
  "9110/9.3.6/port": ours("MUST", "CONNECT to an empty or invalid port is rejected"),
  "9110/9.3.6/framing": tunnels("MUST NOT", "2xx to CONNECT has neither Transfer-Encoding nor Content-Length"),
  "9110/9.3.7/options": application("SHOULD", "the response to OPTIONS describes the resource's options"),
  "9110/9.3.8/trace": application("SHOULD", "the response to TRACE is the request, without secrets"),
  "9110/10.1.1/of-1.0": ours("MUST", "100-continue in HTTP/1.0 is ignored"),
  "9110/10.1.1/final": ours("MUST", "a final status follows 100"),
  "9110/10.1.1/close": ours(
    "SHOULD",
    "a final status before the whole content is read tells whether the connection closes"
  ),
  "9110/10.1.1/immediate": deviates(
    "MUST",
    "100-continue gets a final status or 100 at once",
    "100 is sent when the handler first reads the content: a handler that reads or responds late delays its client"
  ),
  "9110/10.1.1/not-awaited": ours("MUST NOT", "100 is sent before content arrives"),
  "9110/10.1.2/from": application("SHOULD NOT", "From does not authenticate"),
  "9110/10.2.1/allow": application("MUST", "a 405 has Allow"),
  "9110/10.2.4/server": application("SHOULD NOT", "Server has no unnecessary detail"),
  "9110/11/authentication": application(
    "MUST",
    "a 401 has WWW-Authenticate, whose parameters are quoted and not repeated"
  ),
  "9110/12/negotiation": application("SHOULD", "preferences are followed, and Vary lists those used"),
  "9110/13/preconditions": application("MUST", "preconditions are evaluated, in their order, before anything is done"),
  "9110/14/ranges": application("MUST", "Range and Content-Range are ignored where they are undefined"),
  "9110/15.2/of-1.0": ours("MUST NOT", "no 1xx is sent to HTTP/1.0"),
  "9110/15.2.2/protocol": ours("MUST", "Upgrade in a 101 names the next protocol"),
  "9110/15.3.1/validators": application("SHOULD", "a 200 has the available validators"),
  "9110/15.3.6/content": ours("MUST NOT", "205 has no content"),
  "9110/15.3.7/partial": application("MUST", "a 206 has Content-Range, or parts that have it, and the fields of a 200"),
  "9110/15.4/location": application("SHOULD", "a redirection has Location"),
  "9110/15.4.5/fields": application("MUST", "a 304 has the fields of a 200 that caches need"),
  "9110/15.5/explained": ours("SHOULD", "the server's own 4xx explains the error"),
  "9110/15.5.2/challenge": application("MUST", "a 401 has a challenge for the resource"),
  "9110/15.5.6/allow": application("MUST", "Allow in a 405 lists the methods of the resource"),
  "9110/15.5.14/retry-after": application("SHOULD", "a temporary 413 has Retry-After"),
  "9110/15.5.22/protocol": application("MUST", "Upgrade in a 426 names the protocol that is required"),
  "9110/15.6/explained": ours("SHOULD", "the server's own 5xx explains the error"),
  "9110/15.6.6/why": ours("SHOULD", "505 explains why, and what is supported")
} as const satisfies Record<string, Requirement>

export type RequirementId = keyof typeof requirements

export interface Numbered extends Requirement {
  readonly id: RequirementId
  readonly rfc: string
  readonly section: string
}

/** All requirements, in order. */
export const all: ReadonlyArray<Numbered> = Object.entries<Requirement>(requirements).map(([id, each]) => {
  const [rfc = "", section = ""] = id.split("/")
  return { ...each, id: id as RequirementId, rfc, section }
})

export const concernsUs = (each: Requirement): boolean => each.notOurs === undefined

/** The title of a requirement's test. */
export const titleOf = (id: RequirementId): string => {
  const [rfc, section] = id.split("/")
  return `RFC ${rfc} §${section}, ${requirements[id].level}: ${requirements[id].sentence}`
}
