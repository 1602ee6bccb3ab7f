-- Admits a request, or refuses it, by what its user did before; answers what that is.
-- KEYS: usage, leases. ARGV: now, the current part of time, the first that counts, the limits (requests,
-- milliseconds, requests at once), the lease's name and end, how long all is kept.
local now, part, first = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local concurrent = redis.call('ZCARD', KEYS[2])
local refused, all_requests, all_millis = 0, 0, 0
local requests, millis, indexes = {}, {}, {}
local fields = redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do
  local kind, value = string.sub(fields[at], 1, 1), tonumber(fields[at + 1])
  if kind == 'x' then
    refused = value
  else
    local index = tonumber(string.sub(fields[at], 2))
    if index < first then
      redis.call('HDEL', KEYS[1], fields[at])
    else
      indexes[index] = true
      if kind == 'r' then
        requests[index] = value
        all_requests = all_requests + value
      else
        millis[index] = value
        all_millis = all_millis + value
      end
    end
  end
end
if all_requests < tonumber(ARGV[4]) and all_millis < tonumber(ARGV[5])
    and concurrent < tonumber(ARGV[6]) then
  redis.call('HINCRBY', KEYS[1], 'r' .. part, 1)
  redis.call('HDEL', KEYS[1], 'x')
  redis.call('ZADD', KEYS[2], ARGV[8], ARGV[7])
  redis.call('PEXPIRE', KEYS[2], ARGV[9])
else
  redis.call('HINCRBY', KEYS[1], 'x', 1)
end
redis.call('PEXPIRE', KEYS[1], ARGV[9])
local answer = {concurrent, refused}
for index in pairs(indexes) do
  answer[#answer + 1] = index
  answer[#answer + 1] = requests[index] or 0
  answer[#answer + 1] = millis[index] or 0
end
return answer
