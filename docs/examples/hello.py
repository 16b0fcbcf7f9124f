"""A Python program: whose memory do its large objects get?"""

import ferrimalloc

print("ferrimalloc:", "yes" if ferrimalloc.is_active() else "no")
