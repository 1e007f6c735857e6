# make          builds everything in build/
# make demo     classifies the sample pictures with the model that ships
# make test     runs the tests
# make install PREFIX=/usr/local

CFLAGS ?= -O2 -g
STRICT = -Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-align \
	-Wcast-qual -Wdouble-promotion -Werror
CSTD = -std=c99 -D_POSIX_C_SOURCE=200809L -Wstrict-prototypes
BUILD = build
COMPILE = $(CC) $(CSTD) $(STRICT) $(CFLAGS) $(CPPFLAGS) -I.

PROGRAMS = $(addprefix $(BUILD)/,vit-convert vit-info vit-classify minimal)
CONVERT = tools/convert.c tools/layouts.c tools/safetensors.c tools/vit_writer.c tools/file_map.c

all: $(PROGRAMS)

$(BUILD)/vit-convert: $(CONVERT) $(wildcard tools/*.h) vit.h
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $(CONVERT) -lcjson -lm

$(BUILD)/vit-info: tools/info.c vit.h
	@mkdir -p $(@D)
	$(COMPILE) -o $@ tools/info.c -lm

.PHONY: all
