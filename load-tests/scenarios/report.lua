-- Ends a wrk run with one line that a script can read. No request() here: the request stays static and costs no Lua.

function done(summary, latency)
   local failed = summary.errors
   io.write(string.format(
      "RESULT %d %d %d %d %d\n",
      summary.requests,
      summary.duration,
      latency:percentile(50),
      latency:percentile(99),
      failed.connect + failed.read + failed.write + failed.status + failed.timeout
   ))
end
