# openssl: a key, a certificate chain, signatures, ciphers, digests; everything that is random is only verified.
source "$PROGRAMS/matrix/common.sh"
export OPENSSL_CONF=/dev/null
seq 1 300000 >data.txt
for digest in md5 sha1 sha256 sha3-512 blake2b512; do openssl dgst -"$digest" <data.txt; done
for cipher in aes-256-cbc aes-128-ctr chacha20 camellia-256-cbc; do
  openssl enc -"$cipher" -K "$(printf '%064d' 7)" -iv "$(printf '%032d' 9)" <data.txt 2>/dev/null | md5sum || true
done
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out ca.key 2>/dev/null
openssl req -x509 -new -key ca.key -subj /CN=ca -days 30 -out ca.crt
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out leaf.key
openssl req -new -key leaf.key -subj /CN=leaf -out leaf.csr
openssl x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out leaf.crt 2>/dev/null
openssl verify -CAfile ca.crt leaf.crt
openssl dgst -sha256 -sign leaf.key -out data.sig data.txt
openssl dgst -sha256 -verify <(openssl pkey -in leaf.key -pubout) -signature data.sig data.txt
openssl cms -encrypt -aes256 -binary -in data.txt -outform DER -out data.cms leaf.crt
openssl cms -decrypt -inform DER -in data.cms -inkey leaf.key -recip leaf.crt -binary | md5sum
openssl prime -generate -bits 256 | wc -l
