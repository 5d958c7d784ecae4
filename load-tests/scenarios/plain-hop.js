// The plain hop at a fixed rate: 5,000 requests a second arrive whether or not the last ones were answered,
// so a slow answer cannot hide the ones that would have followed it (no coordinated omission).
//
//   k6 run -e TARGET=http://127.0.0.1:8080/r500/orders/7 load-tests/scenarios/plain-hop.js
//
// -e RATE=… and -e DURATION=… change the load. Run it against the backend's address too: what the gateway adds is
// the difference, not the figure.

import http from "k6/http";
import { check } from "k6";

const target = __ENV.TARGET || "http://127.0.0.1:8080/r500/orders/7";

export const options = {
  discardResponseBodies: true,
  scenarios: {
    plain_hop: {
      executor: "constant-arrival-rate",
      rate: Number(__ENV.RATE || 5000),
      timeUnit: "1s",
      duration: __ENV.DURATION || "30s",
      preAllocatedVUs: 32,
      maxVUs: 256,
    },
  },
  // Wide enough for a laptop: they catch a fault, compare.sh measures.
  thresholds: {
    checks: ["rate==1"],
    http_req_failed: ["rate==0"],
    http_req_duration: ["p(50)<2", "p(99)<20"],
    dropped_iterations: ["count<50"],
  },
  summaryTrendStats: ["med", "p(99)", "p(99.9)", "max"],
};

export default function () {
  const answer = http.get(target);
  check(answer, { "is 200": (each) => each.status === 200 });
}
