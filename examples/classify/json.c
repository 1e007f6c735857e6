#include "json.h"

#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 character that text starts with; 0 if it starts with none (RFC 3629). */
static size_t utf8_length(const unsigned char *text) {
    unsigned char first = text[0], low = 0x80, high = 0xBF; /* bounds of the second byte */
    size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if ((first >= 0x80 && first < 0xC2) || first > 0xF4) return 0;
    if (first == 0xE0) low = 0xA0;  /* shorter forms exist */
    if (first == 0xED) high = 0x9F; /* surrogates */
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F; /* above U+10FFFF */
    for (size_t i = 1; i < length; i++, low = 0x80, high = 0xBF)
        if (text[i] < low || text[i] > high) return 0;
    return length;
}

cJSON *json_text(const char *text) {
    const unsigned char *in = (const unsigned char *)text;
    char *clean = (char *)malloc(strlen(text) * 3 + 1), *out = clean;
    if (clean == NULL) return NULL;
    while (*in != '\0') {
        size_t length = utf8_length(in);
        memcpy(out, length > 0 ? (const char *)in : "\xEF\xBF\xBD", length > 0 ? length : 3);
        out += length > 0 ? length : 3;
        in += length > 0 ? length : 1;
    }
    *out = '\0';
    cJSON *string = cJSON_CreateString(clean);
    free(clean);
    return string;
}

int json_is_utf8(const char *text) {
    const unsigned char *in = (const unsigned char *)text;
    for (size_t length; *in != '\0'; in += length)
        if ((length = utf8_length(in)) == 0) return 0;
    return 1;
}
