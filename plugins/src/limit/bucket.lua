-- A burst that refills at a rate. Keeps "debt:time".
local burst, price, refill, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local capacity = burst * price
local debt, at = 0, now
local kept = redis.call('GET', KEYS[1])
if kept then
  local d, t = string.match(kept, '^(%d+):(%d+)$')
  if not d then return redis.error_reply('ERR not a bucket') end
  debt, at = tonumber(d), tonumber(t)
end
local behind = now < at
if not behind then debt = math.max(0, debt - (now - at) * refill) end
-- a / b rounded up; the remainder of fmod is exact where a quotient of doubles is not.
local function up(a, b)
  local rest = math.fmod(a, b)
  if rest == 0 then return a / b end
  return (a - rest) / b + 1
end
local room = capacity - debt
local wanted = cost * price
local admitted, retry = 0, 0
if wanted <= room then
  admitted, debt = 1, debt + wanted
elseif wanted > capacity then
  retry = -1
else
  retry = up(wanted - room, refill)
end
local reset = up(debt, refill)
if admitted == 1 or behind then
  redis.call('SET', KEYS[1], string.format('%.0f:%.0f', debt, now), 'PX', math.ceil(reset / 1000) + 1)
end
return { admitted, math.floor((capacity - debt) / price), retry, reset }
