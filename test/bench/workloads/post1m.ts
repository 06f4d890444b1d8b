import { post, type Workload } from "../workload.js"

export const work: Workload = {
  title: "POST 1 MiB, length",
  order: 15,
  needs: "bodies",
  load: { ...post(1024 * 1024, "length"), connections: 8 }
}
