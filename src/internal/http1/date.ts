/**
 * Value of `Date`: an IMF-fixdate (RFC 9110 §5.6.7), created once a second and shared by all responses of that second.
 */
import { processNow } from "../host/hostTimers.js"

let second = Number.NaN
let text = ""

/** Milliseconds from the first day of the year 0 to the end of 9999: an IMF-fixdate has four digits for the year. */
const earliest = Date.parse("0000-01-01T00:00:00Z")
const latest = Date.parse("9999-12-31T23:59:59.999Z")

/** A mocked clock can return any value, and `undefined` after a reset. */
const canBeDate = (now: number): boolean => now >= earliest && now <= latest

/** The date of a time in milliseconds; of the real time if that is out of range. */
export const formatDate = (now: number): string => {
  const nowSecond = Math.floor((canBeDate(now) ? now : processNow()) / 1000)
  if (nowSecond !== second) {
    second = nowSecond
    text = new Date(nowSecond * 1000).toUTCString()
  }
  return text
}
