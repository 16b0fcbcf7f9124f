# jq: building a document of some megabytes, grouping it, printing it, reading it back.
source "$PROGRAMS/matrix/common.sh"
jq -n '[range(40000) | {id: ., group: (. % 97), name: ("n" * (. % 20 + 1)), tags: [range(. % 5)], deep: {a: {b: {c: .}}}}]' >document.json
md5sum <document.json
jq -c 'group_by(.group) | map({group: .[0].group, count: length, sum: (map(.id) | add)}) | .[0:5]' document.json
jq '[.. | numbers] | add' document.json
jq -S 'map(select(.id % 3 == 0)) | map(.name |= ascii_upcase) | from_entries? // length' document.json
jq --stream -c 'select(length == 2) | .[1]' document.json | md5sum
jq -r '.[] | [.id, .group, .name] | @csv' document.json | md5sum
