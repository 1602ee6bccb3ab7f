-- Ends a request. KEYS: usage, leases. ARGV: the lease's name, the current part of time, the milliseconds
-- that it took, how long all is kept.
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[1], 't' .. ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
