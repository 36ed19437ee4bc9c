#!lua flags=allow-oom
-- Drops the records of deliveries that are older than the window in which a repeat is recognised. They stay
-- in the count of the delivered, and are counted as forgotten.
--
-- ARGV  1 now   2 window (ms)   3 most reports at once
-- Returns how many.

local forgotten = 0
for _ = 1, tonumber(ARGV[3]) do
  local id = redis.call('LINDEX', KEY.delivered, 0)
  if not id then break end
  local record = read(id)
  -- The list holds delivered calls only; should it ever hold another, that one does not block the rest.
  if record.state == 'delivered' then
    if record.since > now - tonumber(ARGV[2]) then break end
    drop(id)
    forgotten = forgotten + 1
  end
  redis.call('LPOP', KEY.delivered)
end
count('forgotten', forgotten)
return forgotten
