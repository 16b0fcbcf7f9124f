require 'digest'
require 'json'
require 'set'

words = (1..150_000).map { |i| "w#{i * 7919 % 5003}" + 'x' * (i % 40) }
groups = words.group_by { |word| word[/w\d+/] }
puts groups.size, groups.max_by { |key, list| [list.size, key] }.first

document = (1..20_000).map { |i| { 'id' => i, 'tags' => Array.new(i % 7) { |k| "tag#{k}" }, 'text' => 'y' * (i % 500) } }
text = JSON.generate(document)
puts Digest::SHA256.hexdigest(text), JSON.parse(text) == document

sums = 8.times.map { |t| Thread.new { (1..20_000).sum { |i| "#{t}-#{i}".hash && "#{t}#{i}".sum } } }.map(&:value)
puts sums.inspect

GC.start
GC.stress = true
puts Array.new(50) { |i| [i] * i }.flatten.sum
GC.stress = false
GC.compact if GC.respond_to?(:compact)

bignum = (1..2000).inject(:*)
puts Digest::MD5.hexdigest(bignum.to_s), (Set.new(words) - Set.new(words.first(1000))).size
