# For a tap of your own, with the address of its checkout: brew install --HEAD ./packaging/homebrew/ferrimalloc.rb
# HOMEBREW_FERRIMALLOC names the checkout, since this formula knows no address.
class Ferrimalloc < Formula
  desc "Fast, compact memory allocator with mimalloc's interface"
  license "MIT"
  head ENV.fetch("HOMEBREW_FERRIMALLOC", __dir__ + "/../.."), using: :git

  depends_on "rust" => :build
  depends_on :linux

  def install
    system "cargo", "run", "--release", "--package", "xtask", "--target-dir", "target/xtask", "--", "install", "--prefix", prefix
    bin.install "packaging/ferrimalloc-run"
    %w[libferrimalloc.so.0 libferrimalloc-checks.so.0].each { |name| inreplace bin/"ferrimalloc-run", name, lib/name }
  end

  test do
    output = shell_output("#{bin}/ferrimalloc-run sh -c 'cat /proc/self/maps'")
    assert_match "libferrimalloc", output
  end
end
