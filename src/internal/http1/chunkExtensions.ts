/**
 * State machine for the extensions of a chunk, `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`
 * (RFC 9112 §7.1.1): one table look-up per byte.
 *
 * All extensions are ignored, but their grammar is checked: two recipients that end a malformed extension at different bytes
 * find different chunks, and with them different requests.
 */
import { CR, HTAB, SEMICOLON, SP, TOKEN, VALUE } from "./characters.js"

/** The byte is invalid in this state. */
export const MalformedExtension = -1
/** The byte is the CR that ends the chunk-size line. */
export const ExtensionsEnd = -2

/** An extension may follow, or the line may end. */
export const Complete = 0
/** White space; only an extension may follow. */
const BeforeSemicolon = 1
const BeforeName = 2
const Name = 3
const AfterName = 4
const BeforeValue = 5
const Token = 6
const Quoted = 7
const QuotedPair = 8

type Matches = (byte: number) => boolean

const is =
  (character: string): Matches =>
  (byte) =>
    byte === character.charCodeAt(0)

const blank: Matches = (byte) => byte === SP || byte === HTAB
const token: Matches = (byte) => TOKEN[byte] === 1
const value: Matches = (byte) => VALUE[byte] === 1
const end: Matches = (byte) => byte === CR
const semicolon: Matches = (byte) => byte === SEMICOLON
const quote = is('"')
const backslash = is("\\")
const equals = is("=")

/** The next state for each of the 256 bytes: that of the first matching rule. */
const row = (...rules: ReadonlyArray<readonly [matches: Matches, next: number]>): Int8Array =>
  Int8Array.from({ length: 256 }, (_, byte) => rules.find(([matches]) => matches(byte))?.[1] ?? MalformedExtension)

/** Transitions, indexed by state. */
const rows: ReadonlyArray<Int8Array> = [
  /* Complete */ row([blank, BeforeSemicolon], [semicolon, BeforeName], [end, ExtensionsEnd]),
  /* BeforeSemicolon */ row([blank, BeforeSemicolon], [semicolon, BeforeName]),
  /* BeforeName */ row([blank, BeforeName], [token, Name]),
  /* Name */ row(
    [token, Name],
    [blank, AfterName],
    [equals, BeforeValue],
    [semicolon, BeforeName],
    [end, ExtensionsEnd]
  ),
  /* AfterName */ row([blank, AfterName], [equals, BeforeValue], [semicolon, BeforeName]),
  /* BeforeValue */ row([blank, BeforeValue], [token, Token], [quote, Quoted]),
  /* Token */ row([token, Token], [blank, BeforeSemicolon], [semicolon, BeforeName], [end, ExtensionsEnd]),
  /* Quoted */ row([quote, Complete], [backslash, QuotedPair], [value, Quoted]),
  /* QuotedPair */ row([value, Quoted])
]

/** The state after a byte, `ExtensionsEnd` or `MalformedExtension`. */
export const nextExtensionState = (state: number, byte: number): number => rows[state]![byte]!
