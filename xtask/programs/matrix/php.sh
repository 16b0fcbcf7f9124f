# php: its extensions are opened with RTLD_DEEPBIND. Arrays, strings, regular expressions, JSON, closures, with its own
# allocator and with the C library's.
source "$PROGRAMS/matrix/common.sh"
for zend in 1 0; do
  USE_ZEND_ALLOC=$zend php -r '
    mt_srand(7);
    $tree = [];
    for ($i = 0; $i < 50000; $i++) $tree[$i % 100][$i % 17][] = str_repeat(chr(97 + $i % 26), $i % 50);
    $json = json_encode($tree);
    echo md5($json), " ", strlen($json), " ", count(json_decode($json, true)), "\n";
    $words = preg_split("/[^a-z]+/", $json);
    usort($words, fn($a, $b) => [strlen($a), $a] <=> [strlen($b), $b]);
    echo crc32(implode(",", $words)), " ", strlen(serialize(array_count_values($words))), "\n";
    $text = "";
    for ($i = 0; $i < 200000; $i++) $text .= mt_rand() . ",";
    echo sha1($text), "\n";
    $loaded = array_filter(get_loaded_extensions(), fn($name) => (new ReflectionExtension($name))->getFunctions() !== []);
    sort($loaded);
    echo implode(" ", $loaded), "\n";'
done
