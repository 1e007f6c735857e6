# make                   builds everything into build/
# make demo              classifies the sample pictures with the model of clothes
# make test              runs the tests
# make firmware          builds the images of examples/firmware in build/firmware/
# make web               builds examples/web, the library and a page in the browser, in build/web/
# make serve-web         serves it on this machine
# make install           the header, the programs, their man pages and completions, files for pkg-config
#                        and CMake, under PREFIX (/usr/local); DESTDIR is put before it
# make uninstall         takes them away again
# make windows           makes the programs for Windows in build/windows/
# make deb               makes Debian packages in build/deb/
# make help              shows this
#
# make lint              formatting, clang-tidy, cppcheck, the header by clang as C and C++ (make test has
#                        the compiler's), everything by clang
# make check-sanitize    the tests with AddressSanitizer and UndefinedBehaviorSanitizer
# make coverage          lines and branches that the tests reach, of vit.h (the portable build and the vector
#                        kernels of this machine), tools and examples; fails below the floors of
#                        tests/coverage.txt
# make check-mcdc        conditions of vit.h's portable build that alone turn a decision (MC/DC): 95 % at least
# make check-mutants     300 small mistakes in sections 5 to 9 of vit.h, one at a time: the tests find 95 % at
#                        least; ARGS="--seed 2": others
# make check-threads     4 threads on one model and one pool, and vit_classifier, with ThreadSanitizer
# make check-memory      inferences and vit_classifier in valgrind: nothing unwritten is read, nothing leaks
# make check-initialised the library's tests with MemorySanitizer: nothing unwritten decides or is given out
# make check-frama-c     the reader of files in Frama-C's Eva: each alarm is known, with a reason
# make fuzz-smoke        every fuzzer of tests/fuzz for 20 seconds (FUZZ_SECONDS): no input may do harm
# make fuzz              the same for 10 minutes each; what they find grows in build/fuzz/
# make check-long        a million inferences (LONG_RUN) by 4 threads that open and close models
# make check-isa         the tests with every instruction set, emulated if the machine lacks it
# make check-armv7       all tests on 32-bit ARM, of which check-isa has those of the kernels alone
# make check-riscv       all tests on 64-bit RISC-V, of which check-isa has those of kernels and of token 0
# make check-platforms   the tests by other compilers (gcc, clang 14 to 19, tcc), C99 to C23, C++11 to C++23,
#                        with musl, on 32-bit x86, ARM, RISC-V, POWER, s390x (where models are refused),
#                        Windows and WebAssembly, emulated; PLATFORMS='s390x *c++*': those alone
# make check-firmware    the header for firmware: no library, bounded code and stack; the kernels' tests
#                        on emulated Cortex-M and RISC-V, and instructions for each multiply-add; the
#                        images of examples/firmware in qemu, compared with this machine
# make check-firmware-photos  ten photos by DeiT-Tiny on an emulated Cortex-M7 with 256 KB of RAM
# make check-web         the module in node beside the native programs, then the page in Chromium
# make check-parity      comparison with PyTorch, torchvision and Pillow
# make check-teach       vit-teach on TrashNet's photos, if VIT_TEST_DATA has them, by DeiT-Tiny: how
#                        many of its test pictures are right
# make check-containers  damaged and harmful checkpoints: one line of error, bounded time and memory
# make check-accuracy    each type of weights: the model of clothes, on the 10,000 pictures of
#                        Fashion-MNIST's test set; the photo model on CIFAR-10's and DeiT-Tiny on photos,
#                        if VIT_TEST_DATA has them; and tools/train, on tiny sets
# make check-package     installs, uninstalls and uses what make install and make deb make; man pages and
#                        completions know every option
# make check-cluster     examples/cluster on two hosts with sshd and on two nodes of Slurm, in namespaces of
#                        this machine, one of them killed half-way: nothing lost, nothing twice
# make check-windows     the programs for Windows, run by wine, beside those of this machine; the library's
#                        tests there
# make bench-accuracy    also ONNX Runtime's float32 and int8, with more careful timing
# make bench-web         comparison with ONNX Runtime Web in Chromium, 2 minutes
# make bench-open        the cost of opening a model and of including the header; see also
#                        build/vit-bench
# make bench-pixels      vit_preprocess beside Pillow, with every instruction set that is here
# make bench-busy        threads of a pool beside another program that has a processor
# make bench-instructions  instructions for each multiply-add of a product, counted by qemu
# make bench-jobs        vit-classify: workers beside each other, also beside a DataLoader with ONNX
#                        Runtime; memory for many pictures, ARGS=--few: without; with VIT_TEST_DATA
# make bench-peers       comparison with ONNX Runtime and PyTorch, 12 minutes; ARGS=--quick: 5
#
# demo, test, deb and the check- targets install the Debian packages that they need (tools/require.sh).

CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
DOCDIR = share/doc/vit
STRIP = strip
BUILD = build
PYTHON = /usr/bin/python3
PROCESSORS := $(shell nproc)
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(PROCESSORS)
endif

WARNINGS = -Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-align \
	-Wcast-qual -Wdouble-promotion -Werror
CSTD = -std=c99 -D_POSIX_C_SOURCE=200809L -Wstrict-prototypes
COMPILE = $(CC) $(CSTD) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -I.
LINK = $(COMPILE) $(LDFLAGS)
# sums and shifts in stb_image overflow on damaged JPEG files; their value does not matter
PICTURE_FLAGS := -fwrapv $(if $(findstring sanitize,$(CFLAGS)),-fno-sanitize=shift)

# make JPEG=turbo: JPEGs by libjpeg-turbo, as Pillow does it, instead of stb_image
ifeq ($(JPEG),turbo)
PICTURE_FLAGS += -DPICTURE_TURBO
PICTURE_LIBS = -ljpeg
PICTURE_PACKAGES = libjpeg62-turbo-dev
else ifneq ($(JPEG),)
$(error JPEG=$(JPEG) is not known: turbo, or nothing)
endif

BUILD_PACKAGES = $(PICTURE_PACKAGES) gcc libc6-dev libstb-dev libcjson-dev zlib1g-dev liblbfgs-dev
TEST_PACKAGES = $(BUILD_PACKAGES) g++ libcmocka-dev python3-jsonschema liblapack3
PARITY_PACKAGES = $(BUILD_PACKAGES) python3-torch python3-torchvision python3-pil libopenblas0-openmp \
	libjpeg62-turbo-dev
ARMV7_PACKAGES = $(TEST_PACKAGES) qemu-user gcc-arm-linux-gnueabihf libc6-dev-armhf-cross
RISCV_PACKAGES = clang-19 lld-19 gcc-riscv64-linux-gnu libc6-dev-riscv64-cross
CROSS_PACKAGES = $(ARMV7_PACKAGES) $(RISCV_PACKAGES) gcc-aarch64-linux-gnu libc6-dev-arm64-cross
ISA_PACKAGES = $(CROSS_PACKAGES) libsimde-dev \
	clang lld wasi-libc libclang-rt-dev-wasm32 clang-16 lld-16 libclang-rt-16-dev-wasm32 nodejs
PLATFORM_PACKAGES = $(ARMV7_PACKAGES) gcc-aarch64-linux-gnu libc6-dev-arm64-cross \
	gcc-riscv64-linux-gnu libc6-dev-riscv64-cross gcc-i686-linux-gnu libc6-dev-i386-cross \
	gcc-powerpc64le-linux-gnu libc6-dev-ppc64el-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross \
	clang clang-16 clang-19 tcc musl-tools gcc-mingw-w64-x86-64 wine64 \
	lld wasi-libc libclang-rt-dev-wasm32 nodejs
FIRMWARE_PACKAGES = $(TEST_PACKAGES) gcc-arm-none-eabi gcc-riscv64-unknown-elf qemu-system-arm \
	qemu-system-misc libnewlib-arm-none-eabi picolibc-riscv64-unknown-elf clang python3 \
	dataset-fashion-mnist
WEB_PACKAGES = $(BUILD_PACKAGES) clang-16 lld-16 wasi-libc libclang-rt-16-dev-wasm32 nodejs
CHECK_WEB_PACKAGES = $(WEB_PACKAGES) npm chromium
ACCURACY_PACKAGES = $(PARITY_PACKAGES) dataset-fashion-mnist
PEER_PACKAGES = $(BUILD_PACKAGES) python3-torch python3-onnx libopenblas0-openmp npm
DEB_PACKAGES = $(BUILD_PACKAGES) build-essential debhelper dpkg-dev lintian
CLUSTER_PACKAGES = $(BUILD_PACKAGES) python3 iproute2 parallel openssh-client openssh-server slurmctld slurmd \
	slurm-client munge
WINDOWS_PACKAGES = $(TEST_PACKAGES) gcc-mingw-w64-x86-64 libz-mingw-w64-dev dpkg-dev xz-utils
CHECK_WINDOWS_PACKAGES = $(WINDOWS_PACKAGES) g++-mingw-w64-x86-64 gcc-mingw-w64-i686 clang wine64
PACKAGE_PACKAGES = $(TEST_PACKAGES) $(DEB_PACKAGES) cmake pkg-config mandoc bash-completion zsh fish
FUZZ_PACKAGES = $(TEST_PACKAGES) clang libclang-rt-dev
LINT_PACKAGES = $(TEST_PACKAGES) clang clang-format clang-tidy cppcheck

INSTALLED = $(addprefix $(BUILD)/,vit-convert vit-info vit-teach vit-classify)
PROGRAMS = $(INSTALLED) $(addprefix $(BUILD)/,vit-bench minimal steps)
CONVERT = $(wildcard tools/convert/*.c)
READERS = $(addprefix tools/convert/,checkpoint.c container.c file_map.c folder.c ggml.c json.c numpy.c \
	pickle.c quantize.c safetensors.c tensor.c torch.c torch_legacy.c torch_zip.c zip.c)
DL = $(if $(findstring mingw,$(CC)),,-ldl)
TESTS = $(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/test_*.c))
SOURCES = $(wildcard vit.h examples/*.[ch] examples/*/*.[ch] examples/web/wasm/*.[ch] tools/*.h tools/*/*.[ch] \
	tools/bench/peers/*.[ch] tests/*.[ch] tests/fuzz/*.[ch] tests/parity/*.c tests/frama_c/*.c tests/firmware/*.[ch] \
	tests/emulated/*.h tests/emulated/simde/*.h tests/package/*.c tools/package/windows/*.[ch])

all: $(PROGRAMS)

# LAPACK, which --calibrate needs, is opened when it is asked for: nothing else needs it
$(BUILD)/vit-convert: $(CONVERT) examples/classify/inputs.c $(BUILD)/picture.o $(wildcard tools/convert/*.h) \
		tools/plans.h examples/picture.h examples/classify/inputs.h vit.h
	@mkdir -p $(@D)
	$(LINK) -o $@ $(CONVERT) examples/classify/inputs.c $(BUILD)/picture.o $(PICTURE_LIBS) -lcjson -lz $(DL) -lm -pthread

$(BUILD)/vit-info: tools/info/info.c $(addprefix tools/convert/,report.c report.h) $(wildcard tools/*.h) vit.h
	@mkdir -p $(@D)
	$(LINK) -o $@ tools/info/info.c tools/convert/report.c -lm -pthread

$(BUILD)/picture.o: examples/picture.c examples/picture.h vit.h
	@mkdir -p $(@D)
	$(COMPILE) $(PICTURE_FLAGS) -c -o $@ examples/picture.c

CLASSIFY = $(wildcard examples/classify/*.c) examples/heatmap.c

$(BUILD)/vit-classify: $(CLASSIFY) $(wildcard examples/classify/*.h) examples/heatmap.h \
		examples/picture.h $(BUILD)/picture.o vit.h
	@mkdir -p $(@D)
	$(LINK) -DVIT_MODEL_DIR='"$(PREFIX)/share/vit"' -o $@ $(filter %.c %.o,$^) \
		$(PICTURE_LIBS) -lcjson -lm -pthread

# The PREFIX and JPEG that programs were made for: written only where they are others.
$(BUILD)/options: always
	@mkdir -p $(@D)
	@echo '$(PREFIX) $(JPEG)' | cmp -s - $@ || echo '$(PREFIX) $(JPEG)' >$@

$(addprefix $(BUILD)/,vit-classify picture.o test_picture test_data test_faults): $(BUILD)/options

$(BUILD)/minimal $(BUILD)/steps: $(BUILD)/%: examples/%.c vit.h
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $< -lm -pthread

# The tests that are not about kernels: with sanitizers the kernels take gcc half a minute in each.
ifneq ($(findstring sanitize,$(CFLAGS)),)
$(addprefix $(BUILD)/test_,file load faults camera quantize classifier): COMPILE += -DVIT_NO_SIMD
endif

$(BUILD)/test_%: tests/test_%.c $(wildcard tests/*.h) tools/convert/dtypes.h vit.h
	@mkdir -p $(@D)
	$(COMPILE) -Itests -o $@ $< -lcmocka -lm -pthread

$(BUILD)/test_freestanding $(BUILD)/test_only_int8: $(BUILD)/test_%: tests/test_%.c tests/hosted.c \
		tests/hosted.h tests/test_util.h tools/convert/dtypes.h vit.h
	@mkdir -p $(@D)
	$(COMPILE) -Itests -o $@ $< tests/hosted.c -lcmocka -lm -pthread

$(BUILD)/test_picture $(BUILD)/test_data $(BUILD)/test_faults: $(BUILD)/test_%: tests/test_%.c examples/picture.c \
		examples/picture.h tests/test_util.h vit.h
	@mkdir -p $(@D)
	$(COMPILE) $(PICTURE_FLAGS) -Itests -o $@ $< $(PICTURE_LIBS) -lcmocka -lm -pthread

$(BUILD)/test_camera: tests/test_camera.c examples/camera.c examples/camera.h tests/test_util.h vit.h
	@mkdir -p $(@D)
	$(COMPILE) -Itests -o $@ $< examples/camera.c -lcmocka -lm -pthread

$(BUILD)/test_quantize: tests/test_quantize.c tools/convert/quantize.c tools/convert/quantize.h \
		tests/test_util.h vit.h
	@mkdir -p $(@D)
	$(COMPILE) -Itests -o $@ $< tools/convert/quantize.c -lcmocka -lm -pthread

GPTQ = $(addprefix tools/convert/,gptq.c lapack.c quantize.c report.c)

$(BUILD)/test_gptq: tests/test_gptq.c $(GPTQ) $(wildcard tests/*.h tools/convert/*.h) vit.h
	@mkdir -p $(@D)
	$(COMPILE) -DVIT_NO_SIMD -Itests -o $@ $< $(GPTQ) -lcmocka $(DL) -lm -pthread

$(BUILD)/test_new_file: tests/test_new_file.c $(addprefix tools/convert/,new_file.c new_file.h report.c \
		report.h)
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $(filter %.c,$^) -lcmocka

$(BUILD)/test_containers: tests/test_containers.c tests/reader_end.h $(READERS) \
		$(wildcard tools/convert/*.h)
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $< $(READERS) -lcjson -lz -lcmocka -lm

# these run the programs, and take no time with kernels of their own
$(addprefix $(BUILD)/test_,programs convert classify hostile teach): $(BUILD)/test_%: tests/test_%.c tests/test_run.h \
		tests/test_util.h vit.h
	@mkdir -p $(@D)
	$(COMPILE) -DVIT_NO_SIMD -DBUILD='"$(BUILD)"' -Itests -o $@ $< -lcjson -lcmocka -lm -pthread

# see tests/fuzz/fuzz.h
FUZZERS = $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz_%,$(filter-out %/make_seeds.c,$(wildcard tests/fuzz/*.c)))
FUZZ = clang $(CSTD) $(WARNINGS) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -I.
OTHER_READERS = $(filter-out %/file_map.c,$(READERS))

$(BUILD)/fuzz_%: tests/fuzz/%.c tests/fuzz/fuzz.h tests/reader_end.h $(READERS) \
		$(wildcard tools/convert/*.h)
	@mkdir -p $(@D)
	$(FUZZ) -o $@ $< $(READERS) -lcjson -lz -lm

$(BUILD)/fuzz_labels $(BUILD)/fuzz_names: $(BUILD)/fuzz_%: tests/fuzz/%.c tests/fuzz/fuzz.h tests/reader_end.h \
		$(CONVERT) $(wildcard tools/convert/*.h) vit.h
	@mkdir -p $(@D)
	$(FUZZ) -DVIT_STATIC -o $@ $< tools/convert/$*.c $(OTHER_READERS) tools/convert/model_writer.c \
		tools/convert/new_file.c -lcjson -lz -lm

$(BUILD)/fuzz_cache: tests/fuzz/cache.c tests/reader_end.h $(wildcard tools/teach/cache.[ch]) tools/convert/report.c
	@mkdir -p $(@D)
	$(FUZZ) -o $@ $<

# without vector kernels: clang 14 had not compiled them with all of that after 23 minutes
$(BUILD)/fuzz_model $(BUILD)/fuzz_preprocess: $(BUILD)/fuzz_%: tests/fuzz/%.c vit.h
	@mkdir -p $(@D)
	$(FUZZ) -DVIT_NO_SIMD -o $@ $< -lm

$(BUILD)/fuzz_picture: tests/fuzz/picture.c examples/picture.c examples/picture.h vit.h
	@mkdir -p $(@D)
	$(FUZZ) -fwrapv -fno-sanitize=shift -o $@ $< examples/picture.c -lm

$(BUILD)/make_seeds: tests/fuzz/make_seeds.c tests/test_util.h $(wildcard tools/teach/cache.[ch]) vit.h \
		$(addprefix tools/convert/,file_map.c new_file.c report.c dtypes.h)
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $(filter %.c,$^) -lcmocka -lm -pthread

$(BUILD)/fuzz/seeds: $(BUILD)/make_seeds
	@mkdir -p $(@D)
	$(BUILD)/make_seeds $@
	@touch $@

$(BUILD)/long_run: tests/long_run.c vit.h
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $< -lm -pthread

$(BUILD)/list_isas: tests/list_isas.c vit.h
	@mkdir -p $(@D)
	$(COMPILE) -o $@ tests/list_isas.c -lm -pthread

# VIT_STATIC: the program's own implementation of vit.h is the one that is measured
$(BUILD)/model_writer.o: tools/convert/model_writer.c $(wildcard tools/convert/*.h) vit.h
	@mkdir -p $(@D)
	$(COMPILE) -DVIT_STATIC -c -o $@ $<

RANDOM_MODEL = tools/bench/random_model.c $(addprefix tools/convert/,quantize.c report.c file_map.c new_file.c) \
	$(BUILD)/model_writer.o

$(BUILD)/vit-bench: tools/bench/bench.c $(RANDOM_MODEL) $(wildcard tools/*.h tools/bench/*.h)
	@mkdir -p $(@D)
	$(COMPILE) -o $@ tools/bench/bench.c $(RANDOM_MODEL) -lcjson -lm -pthread

$(BUILD)/bench-open: tools/bench/open.c $(RANDOM_MODEL) $(wildcard tools/bench/*.h)
	@mkdir -p $(@D)
	$(COMPILE) -o $@ tools/bench/open.c $(RANDOM_MODEL) -lm -pthread

$(BUILD)/bench-pixels.so: tools/bench/pixels.c vit.h
	@mkdir -p $(@D)
	$(COMPILE) -fPIC -shared -o $@ tools/bench/pixels.c -lm -pthread

TEACH = $(wildcard tools/teach/*.c) $(addprefix tools/convert/,file_map.c json.c labels.c new_file.c \
	quantize.c report.c rewrite.c)

# -O3: the sums of fit.c become vectors. A build with sanitizers would take a minute more by it, and one with
# coverage would have other branches than the rest.
$(BUILD)/vit-teach: $(TEACH) $(wildcard tools/*.h tools/teach/*.h tools/convert/*.h) $(BUILD)/model_writer.o \
		$(BUILD)/picture.o examples/picture.h vit.h
	@mkdir -p $(@D)
	$(LINK) $(if $(filter -fsanitize=% --coverage,$(CFLAGS)),,-O3) -o $@ $(TEACH) $(BUILD)/model_writer.o $(BUILD)/picture.o $(PICTURE_LIBS) -llbfgs \
		-lcjson -lm -pthread

# The contestants of bench-peers. npm's package of ONNX Runtime has the library to link with.
PEERS = $(BUILD)/peers
DTYPES = f32,f16,bf16,int8,int8x,int4
ORT = $(PEERS)/node_modules/onnxruntime-node/bin/napi-v6/linux/$(ORT_MACHINE)/libonnxruntime.so.1
ORT_MACHINE = $(if $(filter aarch64,$(shell uname -m)),arm64,x64)
CONTESTANT = tools/bench/peers/contestant.c tools/bench/peers/contestant.h tools/bench/clock.h

$(ORT):
	@mkdir -p $(PEERS)
	npm install --prefix $(PEERS) --ignore-scripts --no-audit --no-fund onnxruntime-node@1.30.0

$(PEERS)/peer-vit: tools/bench/peers/vit_contestant.c $(CONTESTANT) tools/bench/peak.h vit.h
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $(filter %.c,$^) -lm -pthread

$(PEERS)/peer-ort: tools/bench/peers/ort.c $(CONTESTANT) $(ORT)
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $(filter %.c,$^) $(ORT) -Wl,-rpath,$(abspath $(dir $(ORT)))

$(PEERS)/ort.so: tools/bench/peers/ort.c $(CONTESTANT) $(ORT)
	@mkdir -p $(@D)
	$(COMPILE) -fPIC -shared -o $@ $(filter %.c,$^) $(ORT) -Wl,-rpath,$(abspath $(dir $(ORT)))

$(PEERS)/%/model.vit: $(addprefix tools/bench/peers/,export.py quantize.py sizes.py) \
		tests/parity/plain_vit.py $(BUILD)/vit-convert
	$(PYTHON) -W ignore tools/bench/peers/export.py $* $(@D) $(BUILD) $(DTYPES)

demo:
	@CC="$(CC)" tools/require.sh $(BUILD_PACKAGES)
	@$(MAKE) --no-print-directory all
	$(BUILD)/vit-classify -m examples/models/fashion-mnist.vit -k 3 examples/images/*.jpg
	@echo "For a photo of your own: $(BUILD)/vit-classify PHOTO.jpg (examples/models/README.md: what it knows)"

test:
	@CC="$(CC)" CXX="$(CXX)" tools/require.sh $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory run-tests SCRIPTS=tests/check_include.sh

# All tests run with the best instruction set; those that depend on it also with each other one here.
ISA_TESTS = layers model token0 merge v1
run-tests: $(PROGRAMS) $(TESTS) $(BUILD)/list_isas
	@isas=$$($(BUILD)/list_isas | sed 1d); CC="$(CC)" CXX="$(CXX)" BUILD=$(BUILD) tests/run_tests.sh \
		$(SCRIPTS) $(TESTS) \
		$$(for isa in $$isas; do printf '$(BUILD)/test_%s@'"$$isa " $(ISA_TESTS); done)

check-sanitize:
	@CC="$(CC)" CXX="$(CXX)" tools/require.sh $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory run-tests BUILD=$(BUILD)-sanitize ISA_TESTS="model token0 v1" \
		CFLAGS="-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all"

# Without test_hostile, which bounds the time of optimised programs. What ends by _exit or a signal would not be
# counted, nor would functions that have no body of their own, as those of kernels have not. The portable
# build shares rows among threads and fetches ahead as those with vector kernels do.
COVERAGE = $(BUILD)-coverage
COVERAGE_FLAGS = -O0 --coverage -D_exit=exit -include tests/coverage.h
PROGRAM_TESTS = programs convert classify teach containers new_file quantize picture
PORTABLE_TESTS = file v1 load layers model token0 kernels attention merge preprocess classifier size faults
COVERED = $(PROGRAM_TESTS:%=$(COVERAGE)/test_%)
COVERED_PORTABLE = $(PORTABLE_TESTS:%=$(COVERAGE)/portable/test_%)
COVERED_VECTORS = $(addprefix $(COVERAGE)/vectors/test_,kernels preprocess token0)
coverage:
	@CC="$(CC)" tools/require.sh $(TEST_PACKAGES)
	@rm -f $(COVERAGE)/*.gcda $(COVERAGE)/portable/*.gcda $(COVERAGE)/vectors/*.gcda
	@$(MAKE) --no-print-directory $(PROGRAMS:$(BUILD)/%=$(COVERAGE)/%) $(COVERED) \
		BUILD=$(COVERAGE) CC=gcc CFLAGS="$(COVERAGE_FLAGS)"
	@$(MAKE) --no-print-directory $(COVERED_PORTABLE) \
		BUILD=$(COVERAGE)/portable CC=gcc CFLAGS="$(COVERAGE_FLAGS)" CPPFLAGS="-DVIT_NO_SIMD -DVIT__FETCHES=1"
	@$(MAKE) --no-print-directory $(COVERED_VECTORS) $(COVERAGE)/vectors/list_isas BUILD=$(COVERAGE)/vectors CC=gcc \
		CFLAGS="$(COVERAGE_FLAGS)" CPPFLAGS=-Dalways_inline=unused
	BUILD=$(COVERAGE) tests/run_tests.sh $(COVERED)
	BUILD=$(COVERAGE)/portable tests/run_tests.sh $(COVERED_PORTABLE)
	BUILD=$(COVERAGE)/vectors tests/run_tests.sh $(COVERED_VECTORS) $$($(COVERAGE)/vectors/list_isas | sed 1d | \
		sed 's|^|$(COVERAGE)/vectors/test_token0@|')
	$(PYTHON) tests/coverage.py $(COVERAGE) $(COVERAGE)/portable $(COVERAGE)/vectors

check-mcdc:
	@CC="$(CC)" tools/require.sh $(TEST_PACKAGES) clang-19 libclang-rt-19-dev llvm-19
	BUILD=$(BUILD)-mcdc FLAGS='$(CSTD) -O1 -fwrapv' tests/check_mcdc.sh $(PORTABLE_TESTS)

check-mutants:
	@CC="$(CC)" tools/require.sh $(TEST_PACKAGES) python3-clang
	$(PYTHON) tests/mutate.py --jobs $(PROCESSORS) $(ARGS) $(BUILD)-mutants

# the portable build: clang takes too long for the vector kernels, and valgrind does not know all of them
check-threads:
	@CC="$(CC)" tools/require.sh $(FUZZ_PACKAGES)
	@$(MAKE) --no-print-directory $(addprefix $(BUILD)-threads/,test_classifier long_run) BUILD=$(BUILD)-threads \
		CC=clang CFLAGS="-O1 -g -fsanitize=thread" CPPFLAGS=-DVIT_NO_SIMD
	$(BUILD)-threads/test_classifier
	$(BUILD)-threads/long_run 4 2000 tests/golden/tiny.vit

VALGRIND = valgrind -q --error-exitcode=9 --leak-check=full
check-memory:
	@CC="$(CC)" tools/require.sh $(TEST_PACKAGES) valgrind
	@$(MAKE) --no-print-directory $(addprefix $(BUILD)-memory/,test_classifier long_run) BUILD=$(BUILD)-memory \
		CFLAGS="-O1 -g" CPPFLAGS=-DVIT_NO_SIMD
	$(VALGRIND) $(BUILD)-memory/test_classifier
	$(VALGRIND) $(BUILD)-memory/long_run 1 60 tests/golden/tiny.vit

# cmocka's library is not made with the sanitizer: its stand-in is
INITIALISED = $(BUILD)-initialised
INITIALISED_TESTS = $(PORTABLE_TESTS) quantize camera new_file
check-initialised:
	@CC="$(CC)" tools/require.sh $(FUZZ_PACKAGES)
	@$(MAKE) --no-print-directory $(INITIALISED_TESTS:%=$(INITIALISED)/test_%) BUILD=$(INITIALISED) CC=clang \
		CFLAGS="-O1 -g -fsanitize=memory -fsanitize-memory-track-origins" \
		CPPFLAGS="-DVIT_NO_SIMD -Itests/emulated"
	BUILD=$(INITIALISED) tests/run_tests.sh $(INITIALISED_TESTS:%=$(INITIALISED)/test_%)

check-frama-c:
	@tools/require.sh frama-c-base
	BUILD=$(BUILD) tests/frama_c/check.sh

fuzz-smoke: FUZZ_SECONDS ?= 20
fuzz: FUZZ_SECONDS ?= 600
fuzz-smoke fuzz:
	@CC="$(CC)" tools/require.sh $(FUZZ_PACKAGES)
	@$(MAKE) --no-print-directory $(FUZZERS) $(BUILD)/fuzz/seeds
	@BUILD=$(BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run.sh $(FUZZERS)

LONG_RUN = 1000000
check-long:
	@CC="$(CC)" tools/require.sh $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory $(BUILD)/long_run
	$(BUILD)/long_run 4 $(LONG_RUN) tests/golden/tiny.vit

check-isa:
	@CC="$(CC)" CXX="$(CXX)" tools/require.sh $(ISA_PACKAGES)
	@$(MAKE) --no-print-directory $(addprefix $(BUILD)/,list_isas $(addprefix test_,kernels file preprocess))
	CC="$(CC)" BUILD=$(BUILD) FLAGS='$(CSTD) $(WARNINGS)' tests/check_isa.sh

check-armv7:
	@CC="$(CC)" CXX="$(CXX)" tools/require.sh $(ARMV7_PACKAGES)
	CC="$(CC)" BUILD=$(BUILD)/armv7 FLAGS='$(CSTD) $(WARNINGS)' tests/check_isa.sh armv7

check-riscv:
	@CC="$(CC)" CXX="$(CXX)" tools/require.sh $(TEST_PACKAGES) $(RISCV_PACKAGES) qemu-user
	CC="$(CC)" BUILD=$(BUILD)/riscv FLAGS='$(CSTD) $(WARNINGS)' tests/check_isa.sh riscv

check-platforms:
	@CC="$(CC)" CXX="$(CXX)" tools/require.sh $(PLATFORM_PACKAGES)
	BUILD=$(BUILD) FLAGS='$(WARNINGS)' tests/check_platforms.sh $(PLATFORMS)

firmware:
	@CC="$(CC)" CXX="$(CXX)" tools/require.sh $(FIRMWARE_PACKAGES)
	@$(MAKE) --no-print-directory $(BUILD)/vit-convert
	@$(MAKE) --no-print-directory -C examples/firmware

check-firmware: firmware
	@$(MAKE) --no-print-directory --output-sync $(addprefix check-firmware-,kernels images header)

check-firmware-header:
	BUILD=$(BUILD) tests/check_freestanding.sh
	BUILD=$(BUILD) tests/check_build_systems.sh

check-firmware-kernels:
	BUILD=$(BUILD) FLAGS='$(CSTD) $(WARNINGS)' tests/check_firmware_kernels.sh

check-firmware-images:
	@$(MAKE) --no-print-directory -C examples/firmware check

check-firmware-photos:
	@CC="$(CC)" CXX="$(CXX)" tools/require.sh $(FIRMWARE_PACKAGES)
	@$(MAKE) --no-print-directory $(BUILD)/vit-convert
	@$(MAKE) --no-print-directory -C examples/firmware check-photos

web:
	@CC="$(CC)" tools/require.sh $(WEB_PACKAGES)
	@$(MAKE) --no-print-directory -C examples/web

serve-web: web
	@$(MAKE) --no-print-directory -C examples/web serve

check-web:
	@CC="$(CC)" tools/require.sh $(CHECK_WEB_PACKAGES)
	@$(MAKE) --no-print-directory $(addprefix $(BUILD)/,vit-classify vit-convert vit-teach)
	@$(MAKE) --no-print-directory -C examples/web check

check-parity:
	@CC="$(CC)" tools/require.sh $(PARITY_PACKAGES)
	@$(MAKE) --no-print-directory all
	$(PYTHON) tests/parity/pixels.py
	$(PYTHON) -W ignore tests/parity/jpeg.py tests/golden/picture \
		$${VIT_TEST_DATA:+"$$VIT_TEST_DATA/photos" "$$VIT_TEST_DATA/exif"}
	$(PYTHON) tests/parity/configs.py $(BUILD)
	$(PYTHON) tests/parity/containers.py $(BUILD)
	$(PYTHON) tests/parity/names.py $(BUILD)
	$(PYTHON) tests/parity/families.py $(BUILD)
	$(PYTHON) tests/parity/parity.py $(BUILD)
	$(PYTHON) tests/parity/attention.py $(BUILD)
	$(PYTHON) tests/parity/resolutions.py $(BUILD)
	$(PYTHON) tests/parity/merge.py $(BUILD)
	$(PYTHON) tests/parity/gptq.py
	$(PYTHON) tests/parity/photos.py $(BUILD)
	$(PYTHON) tests/parity/teach.py $(BUILD)

check-teach:
	@CC="$(CC)" tools/require.sh $(PARITY_PACKAGES)
	@$(MAKE) --no-print-directory all
	$(PYTHON) tests/parity/trashnet.py $(BUILD)

check-containers:
	@CC="$(CC)" tools/require.sh $(PARITY_PACKAGES)
	@$(MAKE) --no-print-directory $(BUILD)/vit-convert
	$(PYTHON) -W ignore tests/parity/malformed.py $(BUILD)

check-accuracy:
	@CC="$(CC)" tools/require.sh $(ACCURACY_PACKAGES)
	@$(MAKE) --no-print-directory all $(PEERS)/peer-vit
	$(PYTHON) tests/parity/accuracy.py $(BUILD)
	$(PYTHON) tests/parity/cifar.py $(BUILD)
	$(PYTHON) tests/parity/training.py $(BUILD)
	$(PYTHON) tools/bench/accuracy/measure.py --dtypes $(DTYPES) $(BUILD)

bench-accuracy:
	@CC="$(CC)" tools/require.sh $(ACCURACY_PACKAGES) $(PEER_PACKAGES)
	@$(MAKE) --no-print-directory all $(PEERS)/peer-vit $(PEERS)/peer-ort
	$(PYTHON) -W ignore tools/bench/accuracy/measure.py --bench --dtypes $(DTYPES) $(BUILD)

bench-peers:
	@CC="$(CC)" tools/require.sh $(PEER_PACKAGES)
	@$(MAKE) --no-print-directory $(PEERS)/peer-vit $(PEERS)/peer-ort \
		$(foreach size,ti s b,$(PEERS)/$(size)/model.vit)
	$(PYTHON) tools/bench/peers/bench.py $(ARGS) $(PEERS)

bench-jobs:
	@[ -n "$$VIT_TEST_DATA" ] || { echo "VIT_TEST_DATA is not set: nothing to measure on"; exit 1; }
	@CC="$(CC)" tools/require.sh $(PEER_PACKAGES) python3-torchvision python3-pil time
	@$(MAKE) --no-print-directory $(BUILD)/vit-convert $(BUILD)/vit-classify $(PEERS)/ort.so
	$(BUILD)/vit-convert --dtype int8 "$$VIT_TEST_DATA/deit_tiny" $(BUILD)/jobs.vit
	$(PYTHON) tools/bench/jobs.py $(ARGS) $(BUILD) "$$VIT_TEST_DATA"

bench-busy: $(BUILD)/vit-classify
	tools/bench/busy.sh $(BUILD) $(ARGS)

bench-pixels:
	@CC="$(CC)" tools/require.sh $(BUILD_PACKAGES) python3-pil python3-numpy
	@$(MAKE) --no-print-directory $(BUILD)/bench-pixels.so
	$(PYTHON) tools/bench/pixels.py $(ARGS) $(BUILD)/bench-pixels.so examples/models/cifar10.vit

bench-web:
	@CC="$(CC)" tools/require.sh $(PEER_PACKAGES) $(CHECK_WEB_PACKAGES)
	@$(MAKE) --no-print-directory $(foreach size,ti s,$(PEERS)/$(size)/model.vit)
	@$(MAKE) --no-print-directory -C examples/web bench

bench-instructions:
	@CC="$(CC)" CXX="$(CXX)" tools/require.sh $(CROSS_PACKAGES)
	CC="$(CC)" BUILD=$(BUILD) FLAGS='$(CSTD) $(WARNINGS)' tools/bench/count_instructions.sh

bench-open: $(BUILD)/bench-open
	$(BUILD)/bench-open
	tools/bench/include_cost.sh

LINTS = tidy cppcheck clang include format readme
lint:
	@tools/require.sh $(LINT_PACKAGES)
	@$(MAKE) --no-print-directory --output-sync $(addprefix lint-,$(LINTS))

# A copy of vit.h in which #elif and #else end one #if and begin another: clang-format reads a file once for
# each combination of its branches.
lint-format:
	sed 's/^#elif/#endif\n#if/; s/^#else/#endif\n#if 1/' vit.h | \
		clang-format --assume-filename=vit.h --dry-run -Werror
	clang-format --dry-run -Werror $(filter-out vit.h,$(SOURCES))

lint-readme:
	sed -n '/^```c$$/,/^```$$/p' README.md | sed '1d;$$d' | diff - examples/minimal.c

lint-include:
	CC=clang CXX=clang++ tests/check_include.sh

lint-clang:
	$(MAKE) CC=clang CFLAGS=-O0 BUILD=$(BUILD)/clang all $(TESTS:$(BUILD)/%=$(BUILD)/clang/%)

lint-cppcheck:
	cppcheck -j $(PROCESSORS) --std=c99 --language=c --enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --include=/usr/include/cjson/cJSON.h --error-exitcode=1 \
		--quiet -DVIT_IMPLEMENTATION -D__GNUC__ -U__FAST_MATH__ -I. -Itests -i examples/firmware \
		vit.h examples tools tests

lint-tidy:
	printf '%s\n' vit.h $(wildcard examples/*.c examples/classify/*.c examples/web/wasm/*.c tools/*/*.c \
			tools/bench/peers/*.c) | xargs -P $(PROCESSORS) -I FILE \
		clang-tidy --quiet --warnings-as-errors='*' FILE -- -x c $(CSTD) -DVIT_IMPLEMENTATION -I.

# of vit.h's VIT_VERSION_MAJOR, MINOR and PATCH
VERSION = $(shell sed -n 's/^.define VIT_VERSION_[MP][A-Z]* //p' vit.h | paste -sd.)

install: $(INSTALLED)
install uninstall:
	DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' DOCDIR='$(DOCDIR)' BUILD='$(BUILD)' STRIP='$(STRIP)' \
		VERSION=$(VERSION) tools/package/install.sh $@

# The programs for Windows, by mingw-w64: as above, with something in place of POSIX.
WINDOWS = $(BUILD)/windows
MINGW = x86_64-w64-mingw32-
POSIX = tools/package/windows
# mingw-w64's isfinite has a conversion to float where it is not used; gcc takes its printf, which is that
# of C99 here, for Microsoft's
WINDOWS_CPPFLAGS = -Wno-float-conversion -Wno-format -Wno-format-extra-args -D_FILE_OFFSET_BITS=64 -include $(POSIX)/posix.h \
	-I$(POSIX)/include -isystem $(WINDOWS)/include
WINDOWS_LDFLAGS = -static $(WINDOWS)/posix.o $(WINDOWS)/resource.o -L$(WINDOWS)/lib

$(WINDOWS)/lib/libcjson.a: $(POSIX)/libraries.sh
	CC=$(MINGW)gcc AR=$(MINGW)ar $(POSIX)/libraries.sh $(WINDOWS)

$(WINDOWS)/posix.o: $(POSIX)/posix.c $(POSIX)/posix.h
	@mkdir -p $(@D)
	$(MINGW)gcc $(CSTD) $(WARNINGS) $(CFLAGS) -D_FILE_OFFSET_BITS=64 -c -o $@ $(POSIX)/posix.c

$(WINDOWS)/resource.o: $(POSIX)/resource.rc $(POSIX)/utf8.manifest
	@mkdir -p $(@D)
	$(MINGW)windres $< $@

windows:
	@CC="$(CC)" CXX="$(CXX)" tools/require.sh $(WINDOWS_PACKAGES)
	@$(MAKE) --no-print-directory $(addprefix $(WINDOWS)/,lib/libcjson.a posix.o resource.o)
	@$(MAKE) --no-print-directory $(INSTALLED:$(BUILD)/%=$(WINDOWS)/%) \
		CC=$(MINGW)gcc BUILD=$(WINDOWS) CPPFLAGS="$(WINDOWS_CPPFLAGS)" LDFLAGS="$(WINDOWS_LDFLAGS)"

check-windows: windows
	@CC="$(CC)" tools/require.sh $(CHECK_WINDOWS_PACKAGES)
	@$(MAKE) --no-print-directory $(INSTALLED)
	BUILD=$(BUILD) tests/check_windows.sh
	BUILD=$(BUILD) tests/check_windows_library.sh

check-cluster:
	@CC="$(CC)" tools/require.sh $(CLUSTER_PACKAGES)
	@$(MAKE) --no-print-directory $(BUILD)/vit-classify
	BUILD=$(BUILD) tests/check_cluster.sh

deb:
	@CC="$(CC)" tools/require.sh $(DEB_PACKAGES)
	VERSION=$(VERSION) tools/package/deb.sh $(BUILD)/deb

check-package:
	@CC="$(CC)" CXX="$(CXX)" tools/require.sh $(PACKAGE_PACKAGES)
	@$(MAKE) --no-print-directory $(INSTALLED)
	CC="$(CC)" CXX="$(CXX)" BUILD=$(BUILD) VERSION=$(VERSION) tests/check_package.sh

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

clean:
	rm -rf $(BUILD) $(BUILD)-*

.PHONY: $(addprefix lint-,$(LINTS)) all always demo test run-tests check-sanitize check-isa check-armv7 check-riscv \
	check-platforms firmware check-firmware $(addprefix check-firmware-,header kernels images) \
	check-firmware-photos web serve-web check-web check-parity check-teach check-containers check-accuracy \
	bench-busy bench-open bench-jobs bench-pixels bench-instructions bench-accuracy bench-peers bench-web \
	check-long coverage check-mcdc check-mutants check-threads check-memory lint fuzz fuzz-smoke install uninstall \
	windows check-windows check-initialised check-frama-c \
	check-cluster deb check-package help clean
