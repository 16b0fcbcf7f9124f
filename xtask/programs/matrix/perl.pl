use strict;
use warnings;

my %places;
my $text = join ' ', map { "w" . ($_ * 7919 % 5003) . "x" x ($_ % 30) } 1 .. 150_000;
my $number = 0;
push @{ $places{$1} }, $number++ while $text =~ /(w\d+)x*/g;
print scalar(keys %places), " words, ", $number, " places\n";

my @order = sort { @{ $places{$b} } <=> @{ $places{$a} } || $a cmp $b } keys %places;
print join(',', @order[0 .. 9]), "\n";

my @closures = map { my $k = $_; sub { my %h = map { $_ => $k } 1 .. 10; $k + keys %h } } 1 .. 20_000;
my $total = 0;
$total += $_->() for @closures;
print "$total\n";

my $grown = '';
$grown .= chr(97 + $_ % 26) x ($_ % 50) for 1 .. 200_000;
(my $changed = $grown) =~ s/([aeiou])/uc($1) . lc($1)/ge;
print length($grown), ' ', length($changed), ' ', ($changed =~ tr/A-Z//), "\n";

my @matrix = map { my $row = $_; [map { $row * $_ % 97 } 1 .. 300] } 1 .. 300;
my @turned = map { my $column = $_; [map { $_->[$column] } @matrix] } 0 .. 299;
my $sum = 0;
$sum += $turned[$_][$_ * 7 % 300] for 0 .. 299;
print "$sum\n";
