-- Never more than the count in any window. Keeps a list of "time:cost:sum", oldest first; the sum is of all costs so far.
local count, window, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local key = KEYS[1]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local function entry(text)
  local t, c, s = string.match(text, '^(%d+):(%d+):(%d+)$')
  return tonumber(t), tonumber(c), tonumber(s)
end
local last = redis.call('LINDEX', key, -1)
local newest, sum = 0, 0
if last then
  local t, _, s = entry(last)
  if not t then return redis.error_reply('ERR not a log') end
  newest, sum = t, s
  if newest - now > window then
    -- The clock has jumped back by more than a window: nothing of this can be told any more.
    redis.call('DEL', key)
    last, newest, sum = false, 0, 0
  end
end
now = math.max(now, newest)
local used = 0
while last do
  local first = redis.call('LINDEX', key, 0)
  if not first then break end
  local t, c, s = entry(first)
  if not t then return redis.error_reply('ERR not a log') end
  if t + window > now then
    used = sum - s + c
    break
  end
  redis.call('LPOP', key)
end
if used == 0 then sum, newest = 0, 0 end
local wanted = used + cost
if wanted <= count then
  redis.call('RPUSH', key, string.format('%.0f:%.0f:%.0f', now, cost, sum + cost))
  redis.call('PEXPIRE', key, math.ceil(window / 1000) + 1)
  return { 1, count - wanted, 0, window }
end
local reset = math.max(0, newest + window - now)
if cost > count then return { 0, count - used, -1, reset } end
local needed, retry = wanted - count, reset
for _, text in ipairs(redis.call('LRANGE', key, 0, needed - 1)) do
  local t, c = entry(text)
  needed = needed - c
  if needed <= 0 then
    retry = t + window - now
    break
  end
end
return { 0, count - used, retry, reset }
