#!lua flags=allow-oom
-- Records that Roark took these reports, drops their payloads, and lets a newer report that came meanwhile
-- follow. Does nothing for a caller that lost its lease.
--
-- ARGV  1 now   2 keep: 1 keeps the payload, 0 drops it
--       then for each report: call id, token, Roark's id or -, history line (JSON)
-- Returns for each report 1, or 0 where the lease was lost.

local results = {}
for i = 3, #ARGV, 4 do
  local id, token = ARGV[i], ARGV[i + 1]
  local record = read(id)
  if holds(record, token) then
    local told = record.attempts > 0 or record.deaths > 0 or record.priority ~= 'f' or record.revision ~= '0'
    record.attempts = record.attempts + 1
    record.note = ARGV[i + 2]
    move(id, record, 'deliver')
    if ARGV[2] == '0' then redis.call('HDEL', KEY.payloads, id) end
    if told then tell(id, 'delivered', ARGV[i + 3]) end
    take_beside(id, record)
    probe_was_good(id, token)
    results[#results + 1] = 1
  else
    results[#results + 1] = 0
  end
end
return results
