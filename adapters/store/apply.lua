-- Merges changes into the index: all or nothing, as Redis runs nothing else meanwhile and nothing below can fail
-- half-way (every value is checked before the first write).
--
-- KEYS  1 mark   2 counters   3 outbox by due time   4 outbox reports   5.. one bucket each
-- ARGV  1 format   2 generation   3 index secret's fingerprint   4 lowest revision known to the caller
--       5 brand   6 watermark, or ""   7 number n of outbox items
--       8 .. 7+4n   per item: id, due time, brand, value
--       8+4n ..     per bucket of KEYS: changes, each 8 bytes key suffix and 6 bytes packed entry
--
-- Returns {"ok", keys changed, revision}, or {failure} with nothing written.
-- The layout of a bucket is described in bucket.py; the merge is the one of filters/consent.py, and a test holds the
-- two against each other.

local SUFFIX, ENTRY = 8, 6
local sub, byte, find, char, concat = string.sub, string.byte, string.find, string.char, table.concat

local seen = redis.call('HMGET', KEYS[1], 'format', 'generation', 'fingerprint', 'revision')
if not seen[2] then return {'not_initialised'} end
if seen[1] ~= ARGV[1] or seen[2] ~= ARGV[2] or seen[3] ~= ARGV[3] then return {'foreign'} end
if tonumber(seen[4]) < tonumber(ARGV[4]) then return {'rolled_back'} end

local brand = ARGV[5]
local counted = {}

local function count(brand_of, what, difference)
  local field = brand_of .. ':' .. what
  counted[field] = (counted[field] or 0) + difference
end

local function date_of(entries, at)
  local a, b, c, d = byte(entries, at + 2, at + 5)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

-- Whether the entry `new` replaces the one at `at` of `entries`: the later will; at the same second the refusal; of the
-- same will the registry's record before our own (the upper half of the source byte), then the higher source number.
local function wins(new, entries, at)
  local new_at, old_at = date_of(new, 1), date_of(entries, at)
  if new_at ~= old_at then return new_at > old_at end
  local new_rejects, old_rejects = byte(new, 1) >= 8, byte(entries, at) >= 8
  if new_rejects ~= old_rejects then return new_rejects end
  return (byte(new, 2) + 128) % 256 > (byte(entries, at + 1) + 128) % 256
end

-- The entries of one key after merging `new`, or nil where nothing changes.
local function merge(entries, new)
  local slot = byte(new, 1) % 8
  for at = 1, #entries, ENTRY do
    local found = byte(entries, at) % 8
    if found == slot then
      if not wins(new, entries, at) then return nil end
      count(brand, byte(entries, at), -1)
      count(brand, byte(new, 1), 1)
      return sub(entries, 1, at - 1) .. new .. sub(entries, at + ENTRY)
    elseif found > slot then
      count(brand, byte(new, 1), 1)
      return sub(entries, 1, at - 1) .. new .. sub(entries, at)
    end
  end
  count(brand, byte(new, 1), 1)
  return entries .. new
end

-- Place of a suffix among the suffixes, counted from 0; nil where it is not there.
local function place_of(suffixes, suffix)
  local at = find(suffixes, suffix, 1, true)
  while at and (at - 1) % SUFFIX ~= 0 do at = find(suffixes, suffix, at + 1, true) end
  return at and (at - 1) / SUFFIX
end

local function sum(counts, number)
  if #counts == 0 or number == 0 then return 0 end
  local total = 0
  for at = 1, number do total = total + byte(counts, at) end
  return total
end

local changed = 0
local writes = {}
local first_bucket, first_changes = 5, 8 + 4 * tonumber(ARGV[7])

for index = first_bucket, #KEYS do
  local changes = ARGV[first_changes + index - first_bucket]
  local bucket = redis.call('GET', KEYS[index])
  local suffixes, counts, entries = '', '', ''
  if bucket then
    local number = byte(bucket, 1) * 256 + byte(bucket, 2)
    local counts_at = 3 + SUFFIX * number
    suffixes = sub(bucket, 3, counts_at - 1)
    counts = sub(bucket, counts_at, counts_at + number - 1)
    entries = sub(bucket, counts_at + number)
    if #counts ~= number or #entries ~= ENTRY * sum(counts, number) then return {'broken'} end
  end
  -- New keys are gathered and joined once: appending each to the strings would copy the bucket for every key.
  local new_suffixes, new_counts, new_entries = {}, {}, {}
  local has_changed = false
  local at = 1
  while at <= #changes do
    local suffix = sub(changes, at, at + SUFFIX - 1)
    local place = place_of(suffixes, suffix)
    local before, first = '', 0
    if place then
      first = ENTRY * sum(counts, place) + 1
      before = sub(entries, first, first + ENTRY * byte(counts, place + 1) - 1)
    end
    local after = before
    -- Changes are sorted, so those of one key follow each other.
    repeat
      after = merge(after, sub(changes, at + SUFFIX, at + SUFFIX + ENTRY - 1)) or after
      at = at + SUFFIX + ENTRY
    until sub(changes, at, at + SUFFIX - 1) ~= suffix
    if after ~= before then
      changed = changed + 1
      has_changed = true
      if place then
        counts = sub(counts, 1, place) .. char(#after / ENTRY) .. sub(counts, place + 2)
        entries = sub(entries, 1, first - 1) .. after .. sub(entries, first + #before)
      else
        count(brand, 'k', 1)
        new_suffixes[#new_suffixes + 1] = suffix
        new_counts[#new_counts + 1] = char(#after / ENTRY)
        new_entries[#new_entries + 1] = after
      end
    end
  end
  if has_changed then
    local number = #counts + #new_counts
    writes[#writes + 1] = {KEYS[index], concat({
      char(math.floor(number / 256), number % 256),
      suffixes, concat(new_suffixes), counts, concat(new_counts), entries, concat(new_entries),
    })}
  end
end

for _, write in ipairs(writes) do redis.call('SET', write[1], write[2]) end

for at = 8, first_changes - 1, 4 do
  if redis.call('HSETNX', KEYS[4], ARGV[at], ARGV[at + 3]) == 1 then
    redis.call('ZADD', KEYS[3], ARGV[at + 1], ARGV[at])
    count(ARGV[at + 2], 'o', 1)
  end
end

for field, difference in pairs(counted) do
  if difference ~= 0 then redis.call('HINCRBY', KEYS[2], field, string.format('%d', difference)) end
end

if ARGV[6] ~= '' then
  local field = 'watermark:' .. brand
  local watermark = redis.call('HGET', KEYS[1], field)
  if not watermark or tonumber(watermark) < tonumber(ARGV[6]) then
    redis.call('HSET', KEYS[1], field, ARGV[6])
  end
end

return {'ok', changed, redis.call('HINCRBY', KEYS[1], 'revision', 1)}
