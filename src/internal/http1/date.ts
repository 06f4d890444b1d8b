/**
 * `Date`: an IMF-fixdate (RFC 9110 §5.6.7), made once a second and shared by all answers of that second.
 *
 * @internal
 */
let second = Number.NaN
let text = ""

/** The date of a time in milliseconds. */
export const formatDate = (now: number): string => {
  const nowSecond = Math.floor(now / 1000)
  if (nowSecond !== second) {
    second = nowSecond
    text = new Date(nowSecond * 1000).toUTCString()
  }
  return text
}
