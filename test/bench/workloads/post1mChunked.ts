import { post, type Workload } from "../workload.js"

export const work: Workload = {
  title: "POST 1 MiB, chunked",
  order: 16,
  needs: "chunked",
  load: { ...post(1024 * 1024, "chunked"), connections: 8 }
}
