# nix-build packaging/nix: the library, headers, pkg-config and CMake files, and ferrimalloc-run.
{ pkgs ? import <nixpkgs> { } }:

let
  manifest = builtins.fromTOML (builtins.readFile ../../Cargo.toml);
in
pkgs.rustPlatform.buildRustPackage {
  pname = "ferrimalloc";
  version = manifest.workspace.package.version;
  src = pkgs.lib.cleanSourceWith {
    src = ../..;
    filter = path: type: baseNameOf path != "target";
  };
  cargoLock.lockFile = ../../Cargo.lock;
  nativeBuildInputs = [ pkgs.binutils ];

  buildPhase = ''
    runHook preBuild
    cargo build --release --offline
    cargo build --release --offline --package ferrimalloc-checks
    runHook postBuild
  '';
  # The tests of the project install packages and start servers; they are not for a sandbox.
  doCheck = false;
  installPhase = ''
    runHook preInstall
    cargo run --release --offline --package xtask --target-dir target/xtask -- install --prefix $out --from target/release
    install -Dm755 packaging/ferrimalloc-run $out/bin/ferrimalloc-run
    for library in libferrimalloc.so.0 libferrimalloc-checks.so.0; do
      substituteInPlace $out/bin/ferrimalloc-run --replace-fail $library $out/lib/$library
    done
    runHook postInstall
  '';

  meta = {
    description = "Fast, compact memory allocator with mimalloc's interface";
    license = pkgs.lib.licenses.mit;
    platforms = [ "x86_64-linux" "aarch64-linux" ];
  };
}
