import { requests, type Workload } from "../workload.js"

/** What a browser sends in addition to Host. */
const headers: ReadonlyArray<readonly [string, string]> = [
  [
    "User-Agent",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
  ],
  ["Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"],
  ["Accept-Language", "en-US,en;q=0.9,de;q=0.8"],
  ["Accept-Encoding", "gzip, deflate, br, zstd"],
  ["Connection", "keep-alive"],
  ["Cache-Control", "no-cache"],
  ["Pragma", "no-cache"],
  ["Referer", "http://localhost:8080/some/page?with=query"],
  ["Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark; _ga=GA1.1.1234567890.1234567890"],
  ["DNT", "1"],
  ["If-None-Match", '"5e1f-8c0a"'],
  ["Sec-Ch-Ua", '"Chromium";v="131", "Not_A Brand";v="24"'],
  ["Sec-Ch-Ua-Mobile", "?0"],
  ["Sec-Ch-Ua-Platform", '"Linux"'],
  ["Sec-Fetch-Dest", "document"],
  ["Sec-Fetch-Mode", "navigate"],
  ["Sec-Fetch-Site", "same-origin"],
  ["Sec-Fetch-User", "?1"],
  ["Upgrade-Insecure-Requests", "1"],
  ["Priority", "u=0, i"]
]

export const work: Workload = {
  title: `GET with ${headers.length} browser headers`,
  order: 2,
  load: requests({ headers }),
  isQuick: true
}
