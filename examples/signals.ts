/**
 * Preloaded by `npm start` and `npm run playground`: on Ctrl-C a terminal signals npm and this process, and npm then
 * signals this process again. The first signal ends a program gracefully, the second would cut that short.
 */
let seen = 0
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    seen++
    if (seen > 2) process.exit(130)
  })
}
