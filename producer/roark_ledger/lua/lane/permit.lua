#!lua flags=allow-oom
-- Gives leave to start uploads, in a ledger of several partitions: the gate on the way to Roark, for reports that lie
-- elsewhere. Who is given it claims reports, starts their uploads soon (see moves/lane.py), tells what came of each by
-- outcomes.lua, and gives back the rest.
--
-- Permits of workers that died end here: nobody else misses them.
--
-- needs _flow.lua
-- needs _permits.lua
--
-- ARGV  1 now   2 permits wanted, at most 1000 are given   3 lease (ms)   4 the lane's rules
--       5 reports that are ready in all partitions, as far as the caller knows   6 those of them that were never tried
-- Returns { lane, wait, route, resumed, permit … }: lane and wait are those of claim.lua; route is the way in to which a
-- person switched, or empty; resumed is how long ago (ms) the lane was opened again, -1 where that is not known.

local MOST, ENDED_AT_ONCE = 1000, 500

local wanted, lease, rules = math.min(tonumber(ARGV[2]), MOST), tonumber(ARGV[3]), flow_rules(ARGV[4])
local ready, untried = tonumber(ARGV[5]), tonumber(ARGV[6])

open_lane_of_permits()
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEY.uploading, '-inf', now, 'LIMIT', 0, ENDED_AT_ONCE)) do
  local permit = parse_permit(name)
  if permit then end_permit(name, permit) end
end

-- The last probe was of a report that was refused before. Now there is another one to ask: see next_probe().
if lane.stale and untried > 0 and lane.probe_at then
  lane.probe_at, lane.stale = math.min(lane.probe_at, (lane.probed_at or 0) + SOON_MS), nil
end

local number, state, wait, level_holds_back = gate(rules, wanted)
local answer = { state, wait, lane.route or '', lane.resumed and math.max(0, now - lane.resumed) or -1 }

if number > 0 then
  local before = math.max(lane.tat or 0, now * 1000)
  started(rules, state, number)
  local charge = math.max(0, (lane.tat or 0) - before) / number
  local token = redis.call('HINCRBY', KEY.counters, 'token', 1)
  local leave, leased = string.format('%.0f.%.0f.%.0f.', token, now, charge), {}
  if state == LANE.open then
    for place = 1, number do answer[#answer + 1] = leave .. place end
  else
    answer[#answer + 1] = leave .. PROBE
    lane.probe = leave .. PROBE .. ' ' .. token
    redis.call('HSET', KEY.records, leave .. PROBE, format({
      state = 'uploading', fingerprint = PROBE, accepted = now, since = now, attempts = 0, deaths = 0, token = token,
      priority = 'f', revision = 0, note = '-', expires = 0,
    }))
  end
  for place = 5, #answer do
    leased[#leased + 1] = now + lease
    leased[#leased + 1] = answer[place]
  end
  redis.call('ZADD', KEY.uploading, unpack(leased))
  lane.lease = lease
end

if level_holds_back and ready > number then press() end
close_lane()
return answer
