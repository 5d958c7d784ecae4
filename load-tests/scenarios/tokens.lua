-- The gateway job: each request carries the bearer token of the next subject. Requests are made once, before the run.
-- $TOKENS names the file with one token a line.

local requests, turn = {}, 0

function init()
   for token in io.lines(os.getenv("TOKENS")) do
      requests[#requests + 1] = wrk.format("GET", nil, { ["authorization"] = "Bearer " .. token })
   end
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end

dofile(os.getenv("REPORT"))
