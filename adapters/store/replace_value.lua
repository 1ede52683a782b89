-- Puts a small value in the place of the one expected there.
-- KEYS  1 values    ARGV  1 name   2 whether one is expected   3 the one expected   4 the new one
local found = redis.call('HGET', KEYS[1], ARGV[1])
if (ARGV[2] == '1' and found ~= ARGV[3]) or (ARGV[2] == '0' and found) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
return 1
