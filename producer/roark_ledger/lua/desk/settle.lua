#!lua flags=allow-oom
-- A person accepts that what is missing will not come back, and says so in the logbook; see remember.lua.
--
-- ARGV  1 now   2 `lost` or `unread`   3 who (JSON of logbook.py)
-- Returns what was settled: { ledger's id or webhook's spool, text, … }.

local kind, settled, count_of = ARGV[2], {}, 0
local all = redis.call('HGETALL', KEY.promises)
for i = 1, #all, 2 do
  local which = string.match(all[i], '^' .. kind .. ' (.+)$')
  if which then
    settled[#settled + 1] = which
    settled[#settled + 1] = all[i + 1]
    redis.call('HDEL', KEY.promises, all[i])
    if kind == 'lost' then
      local most, seen = string.match(all[i + 1], '^%d+ (%d+) %d+ (%d+)')
      count_of = count_of + tonumber(most)
      redis.call('HSET', KEY.promises, 'settled ' .. which, string.format('%.0f', math.max(now, tonumber(seen))))
    else
      count_of = count_of + 1
    end
  end
end
if #settled > 0 then log_deed('repair', ARGV[3], count_of, {}) end
return settled
