# java: javac, then a program with collections, threads, direct buffers (the JVM's own memory comes from malloc).
source "$PROGRAMS/matrix/common.sh"
javac -d . "$PROGRAMS/matrix/Collections.java"
java -Xmx400m -cp . Collections
