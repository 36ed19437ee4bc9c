-- Leave to upload, where the reports lie in partitions and only the lane is here. A permit is what an uploading report is
-- in a ledger of one: a member of KEY.uploading until its upload has ended, so that level, breaker and probe count it.
--
-- Its name tells all that is known of it, `token.since.charge.place`: one token for all that were given at once, since
-- when (ms), what the rate was charged for each (us), and which of them it is, or `probe`. A probe has a record, too, by
-- which probe_lease() knows that it is out.

local PROBE = 'probe'

-- Returns since when it was given, its token, the charge, and whether it is a probe; nothing where it is no permit.
local function parse_permit(name)
  local token, since, charge, place = string.match(name, '^(%d+)%.(%d+)%.(%d+)%.(%w+)$')
  if not token then return nil end
  -- The clock may have been set back since.
  return { since = math.min(tonumber(since), now), token = token, charge = tonumber(charge), is_probe = place == PROBE }
end

-- Ends it; false where that was done before, or its lease ran out.
local function end_permit(name, permit)
  if permit.is_probe then redis.call('HDEL', KEY.records, name) end
  return redis.call('ZREM', KEY.uploading, name) == 1
end

-- Opens the lane. Where the server's clock was set back, the permits' leases go back with the lane's times.
local function open_lane_of_permits()
  open_lane()
  if not clock_went_back then return end
  local ms = now - lane_was.at
  local all = redis.call('ZRANGE', KEY.uploading, 0, -1)
  for _, name in ipairs(all) do
    if parse_permit(name) then redis.call('ZINCRBY', KEY.uploading, ms, name) end
  end
end
