"""conan create packaging/conan: builds the checkout that this file is in, and packs the install tree."""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.files import copy, load


class Ferrimalloc(ConanFile):
    name = "ferrimalloc"
    license = "MIT"
    description = "Fast, compact memory allocator with mimalloc's interface"
    topics = ("allocator", "malloc", "mimalloc")
    settings = "os", "arch"
    package_type = "library"
    options = {"shared": [True, False]}
    default_options = {"shared": True}
    provides = "mimalloc"

    def set_version(self):
        manifest = load(self, os.path.join(self.recipe_folder, "..", "..", "Cargo.toml"))
        self.version = re.search(r'^version = "(.+)"', manifest, re.M).group(1)

    def export_sources(self):
        root = os.path.join(self.recipe_folder, "..", "..")
        for pattern in ("Cargo.*", "LICENSE", "rustfmt.toml", ".cargo/*", "bench/*", "compat/*", "crates/*", "include/*", "packaging/*", "xtask/*", "README.md"):
            copy(self, pattern, root, self.export_sources_folder, excludes="*/target/*")

    def validate(self):
        if self.settings.os != "Linux" or self.settings.arch not in ("x86_64", "armv8"):
            raise ConanInvalidConfiguration("ferrimalloc's library is for Linux on x86-64 and aarch64")

    def build(self):
        pass

    def package(self):
        # From the sources themselves: cargo needs no folder for the build but its own.
        self.run(f'cargo run --quiet --release --package xtask --target-dir "{self.build_folder}/target/xtask" -- install --prefix "{self.package_folder}"',
                 cwd=self.source_folder, env="")
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "mimalloc")
        self.cpp_info.set_property("cmake_target_name", "mimalloc" if self.options.shared else "mimalloc-static")
        self.cpp_info.set_property("pkg_config_name", "mimalloc")
        self.cpp_info.libs = ["ferrimalloc"] if self.options.shared else [":libferrimalloc.a"]
        self.cpp_info.system_libs = ["pthread"]
