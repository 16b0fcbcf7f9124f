import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import java.util.zip.*;

/** Collections, threads, direct buffers and zlib: the last two take their memory from malloc. */
public class Collections {
    static long words(int seed) {
        Map<String, List<Integer>> places = new TreeMap<>();
        for (int i = 0; i < 60_000; i++)
            places.computeIfAbsent("w" + (i * 7919 + seed) % 5003, key -> new ArrayList<>()).add(i);
        return places.values().stream().mapToLong(list -> list.size() * (long) list.get(0)).sum();
    }

    static long buffers() {
        long sum = 0;
        List<ByteBuffer> kept = new ArrayList<>();
        for (int i = 1; i < 3000; i++) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(i * 17 % 50_000 + 8).putLong(0, i);
            if (i % 10 == 0) kept.add(buffer);
        }
        for (ByteBuffer buffer : kept) sum += buffer.getLong(0);
        return sum;
    }

    static long deflated() throws Exception {
        byte[] text = "ferrimalloc ".repeat(50_000).getBytes();
        long sum = 0;
        for (int level = 1; level < 10; level++) {
            Deflater deflater = new Deflater(level);
            deflater.setInput(text);
            deflater.finish();
            byte[] out = new byte[text.length];
            Inflater inflater = new Inflater();
            inflater.setInput(out, 0, deflater.deflate(out));
            sum += inflater.inflate(new byte[text.length]);
            deflater.end();
            inflater.end();
        }
        return sum;
    }

    public static void main(String[] arguments) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        List<Future<Long>> answers = IntStream.range(0, 16).mapToObj(seed -> pool.submit(() -> words(seed))).toList();
        for (Future<Long> answer : answers) System.out.println(answer.get());
        pool.shutdown();
        System.out.println(buffers());
        System.out.println(deflated());
        System.out.println(IntStream.range(0, 300_000).boxed().collect(Collectors.groupingBy(k -> k % 1000)).size());
        for (int i = 0; i < 200; i++) {
            Thread thread = new Thread(() -> words(1));
            if (i % 50 == 0) thread.start();
        }
    }
}
