-- One number for each window of a calendar. Keeps "start:end:used".
local count, start, finish, after, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
-- The gateway knows the calendar, the store the time: between their clocks a window may have ended.
if now >= finish then start, finish = finish, after end
local used = 0
local kept = redis.call('GET', KEYS[1])
if kept then
  local s, f, u = string.match(kept, '^(%d+):(%d+):(%d+)$')
  if not s then return redis.error_reply('ERR not a quota') end
  if tonumber(s) >= start then start, finish, used = tonumber(s), tonumber(f), tonumber(u) end
end
local left = math.max(0, finish - now)
local wanted = used + cost
if wanted <= count then
  -- A minute more than the window, in case the clock goes back a little.
  redis.call('SET', KEYS[1], string.format('%.0f:%.0f:%.0f', start, finish, wanted), 'PX', math.ceil(left / 1000) + 60000)
  return { 1, count - wanted, 0, left }
end
local retry = left
if cost > count then retry = -1 end
return { 0, math.max(0, count - used), retry, left }
