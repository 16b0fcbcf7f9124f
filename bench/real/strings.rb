# Threads that fill hashes with strings of many lengths, keep a few, and drop the rest for the collector.
THREADS = 4
KEYS = 3_000

def fill(seed)
  (0...KEYS).to_h { |i| ["key-#{seed}-#{i}", "v" * ((i * 7919 + seed * 31) % 900 + 24)] }
end

def digest(hash)
  hash.each_value.sum { |value| value.length }
end

def work(index, rounds)
  kept = []
  rounds.times.sum do |round|
    kept << fill(index * 1000 + round)
    kept.shift if kept.length > 3
    digest(kept.sample(random: Random.new(round)))
  end
end

rounds = Integer(ARGV.fetch(0))
puts THREADS.times.map { |index| Thread.new { work(index, rounds) } }.sum(&:value)
