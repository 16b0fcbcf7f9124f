# perl: hashes of arrays, regular expressions, sorting, closures, string growth, local threads of data.
source "$PROGRAMS/matrix/common.sh"
perl "$PROGRAMS/matrix/perl.pl"
perl -MData::Dumper -MList::Util=sum,shuffle -MDigest::MD5=md5_hex -MEncode -e '
  srand(7); $Data::Dumper::Sortkeys = 1;
  my %tree; $tree{$_ % 100}{$_ % 17}{$_} = [1 .. $_ % 9] for 1 .. 20000;
  print md5_hex(Dumper(\%tree)), "\n", sum(map { length } keys %tree), "\n";
  print length(encode("UTF-8", chr(9731) x 100000)), "\n";'
