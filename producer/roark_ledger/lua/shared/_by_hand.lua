-- What a person does with calls, one after the other; the call ids stand in ARGV from 3 on, who it is in 2.
-- `act(id, record)` returns what was done, or nil where the call is in another state: then that is its result. All that was
-- done is one line of the logbook.
local function by_hand(action, act)
  local results, changed = {}, {}
  for i = 3, #ARGV do
    local id = ARGV[i]
    local record = read(id)
    local was = record.state
    local done = act(id, record)
    if done then changed[#changed + 1] = id end
    results[#results + 1] = done or was
  end
  if #changed > 0 then log_deed(action, ARGV[2], #changed, changed) end
  return results
end
