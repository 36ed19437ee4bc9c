-- Posts the pool's reports one after the other, each with a call id of its own.
--
--   wrk … --script wrk.lua URL -- POOL_FILE

local reports = {}
local turn = 0
local thread_number = 0
local bad = 0

function setup(thread)
  thread:set('number', thread_number)
  thread_number = thread_number + 1
end

function init(args)
  for line in io.lines(args[1]) do
    local id, body = line:match('^(%S+)\t(.*)$')
    local parts, from = {}, 1
    while true do
      local first, last = body:find(id, from, true)
      parts[#parts + 1] = body:sub(from, first and first - 1)
      if not first then break end
      from = last + 1
    end
    reports[#reports + 1] = parts
  end
  -- Not math.random: seeds that lie a second apart give the same number, and a second run would only send duplicates.
  local random = io.open('/dev/urandom', 'rb')
  local a, b, c = random:read(3):byte(1, 3)
  random:close()
  salt = a * 0x10000 + b * 0x100 + c
end

function request()
  turn = turn + 1
  local id = string.format('%08x-0000-4000-8000-%012x', number * 0x1000000 + salt, turn)
  local body = '{"message":' .. table.concat(reports[turn % #reports + 1], id) .. '}'
  return wrk.format('POST', nil, { ['content-type'] = 'application/json', ['x-vapi-secret'] = 'bench' }, body)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'JSON {"requests":%d,"seconds":%.3f,"failed":%d,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f}\n',
    summary.requests, summary.duration / 1e6,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000
  ))
end
