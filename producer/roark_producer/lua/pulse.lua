#!lua flags=no-writes,allow-oom
-- Says whether a wake-up should be published: reports are ready, the lane would hand them out, and nobody
-- has claimed for a while. So a lost wake-up costs the tick's interval and not a report.
--
-- ARGV  1 now   2 quiet (ms): how long without a claim is too long
-- Returns 1 or 0.

if ready_count() == 0 then return 0 end
local lane = redis.call('HMGET', KEY.lane, 'state', 'probe_at', 'last_claim')
if lane[1] == 'held' then
  local probe_at = tonumber(lane[2] or 0)
  if probe_at == 0 or probe_at > now then return 0 end
end
if tonumber(lane[3] or 0) > now - tonumber(ARGV[2]) then return 0 end
return 1
