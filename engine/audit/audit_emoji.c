/* audit_emoji.c - the emoji that chats use most, by Mattermost's names; the rest is shown as :name:. */
#include "audit_internal.h"

#include <stdlib.h>
#include <string.h>

/* sorted by name (C collation), for bsearch */
static const struct emoji { const char *name, *code; } emoji[] = {
	{"+1", "👍"}, {"-1", "👎"}, {"100", "💯"}, {"1st_place_medal", "🥇"}, {"airplane", "✈️"}, {"alarm_clock", "⏰"},
	{"angry", "😠"}, {"apple", "🍎"}, {"arrow_down", "⬇️"}, {"arrow_left", "⬅️"}, {"arrow_right", "➡️"},
	{"arrow_up", "⬆️"}, {"astonished", "😲"}, {"atom_symbol", "⚛️"}, {"balloon", "🎈"},
	{"ballot_box_with_check", "☑️"}, {"banana", "🍌"}, {"bangbang", "‼️"}, {"bar_chart", "📊"}, {"battery", "🔋"},
	{"bee", "🐝"}, {"beer", "🍺"}, {"beers", "🍻"}, {"bell", "🔔"}, {"bike", "🚲"}, {"biohazard_sign", "☣️"},
	{"birthday", "🎂"}, {"black_circle", "⚫"}, {"blue_heart", "💙"}, {"blush", "😊"}, {"book", "📖"},
	{"books", "📚"}, {"boom", "💥"}, {"bow", "🙇"}, {"broken_heart", "💔"}, {"bug", "🐛"}, {"bulb", "💡"},
	{"bus", "🚌"}, {"cake", "🍰"}, {"calendar", "📆"}, {"car", "🚗"}, {"cat", "🐱"}, {"cd", "💿"},
	{"chart_with_downwards_trend", "📉"}, {"chart_with_upwards_trend", "📈"}, {"checkered_flag", "🏁"},
	{"christmas_tree", "🎄"}, {"clap", "👏"}, {"clipboard", "📋"}, {"cloud", "☁️"}, {"clown_face", "🤡"},
	{"coffee", "☕"}, {"cold_face", "🥶"}, {"computer", "💻"}, {"confetti_ball", "🎊"}, {"confounded", "😖"},
	{"confused", "😕"}, {"construction", "🚧"}, {"cookie", "🍪"}, {"crossed_fingers", "🤞"}, {"cry", "😢"},
	{"dart", "🎯"}, {"dash", "💨"}, {"date", "📅"}, {"de", "🇩🇪"}, {"desktop_computer", "🖥️"},
	{"disappointed", "😞"}, {"dizzy", "💫"}, {"dog", "🐶"}, {"earth_africa", "🌍"}, {"electric_plug", "🔌"},
	{"email", "📧"}, {"envelope", "✉️"}, {"evergreen_tree", "🌲"}, {"exclamation", "❗"}, {"exploding_head", "🤯"},
	{"expressionless", "😑"}, {"eyes", "👀"}, {"eyes_closed", "😑"}, {"face_with_monocle", "🧐"},
	{"face_with_rolling_eyes", "🙄"}, {"face_with_thermometer", "🤒"}, {"facepalm", "🤦"}, {"facepunch", "👊"},
	{"factory", "🏭"}, {"fire", "🔥"}, {"fist", "✊"}, {"five", "5️⃣"}, {"floppy_disk", "💾"}, {"flushed", "😳"},
	{"four", "4️⃣"}, {"four_leaf_clover", "🍀"}, {"fr", "🇫🇷"}, {"game_die", "🎲"}, {"gb", "🇬🇧"}, {"gear", "⚙️"},
	{"ghost", "👻"}, {"gift", "🎁"}, {"green_heart", "💚"}, {"grin", "😁"}, {"grinning", "😀"}, {"hammer", "🔨"},
	{"handshake", "🤝"}, {"hatching_chick", "🐣"}, {"hear_no_evil", "🙉"}, {"heart", "❤️"}, {"heart_eyes", "😍"},
	{"heart_hands", "🫶"}, {"heavy_check_mark", "✔️"}, {"hospital", "🏥"}, {"hot_face", "🥵"}, {"hourglass", "⌛"},
	{"hourglass_flowing_sand", "⏳"}, {"house", "🏠"}, {"hugging_face", "🤗"}, {"inbox_tray", "📥"},
	{"information_source", "ℹ️"}, {"interrobang", "⁉️"}, {"joy", "😂"}, {"key", "🔑"}, {"kissing_heart", "😘"},
	{"large_blue_circle", "🔵"}, {"large_green_circle", "🟢"}, {"large_yellow_circle", "🟡"}, {"laughing", "😆"},
	{"link", "🔗"}, {"lock", "🔒"}, {"mag", "🔍"}, {"magnet", "🧲"}, {"man_shrugging", "🤷‍♂️"}, {"mask", "😷"},
	{"mattermost", "Ⓜ️"}, {"medal", "🏅"}, {"melting_face", "🫠"}, {"memo", "📝"}, {"microscope", "🔬"},
	{"money_mouth_face", "🤑"}, {"mouse", "🐭"}, {"muscle", "💪"}, {"nerd_face", "🤓"}, {"neutral_face", "😐"},
	{"no_bell", "🔕"}, {"no_entry", "⛔"}, {"no_entry_sign", "🚫"}, {"o", "⭕"}, {"ocean", "🌊"}, {"office", "🏢"},
	{"ok_hand", "👌"}, {"one", "1️⃣"}, {"open_mouth", "😮"}, {"orange_heart", "🧡"}, {"outbox_tray", "📤"},
	{"package", "📦"}, {"paperclip", "📎"}, {"partying_face", "🥳"}, {"pencil", "📝"}, {"pencil2", "✏️"},
	{"penguin", "🐧"}, {"pensive", "😔"}, {"phone", "☎️"}, {"pizza", "🍕"}, {"pleading_face", "🥺"},
	{"point_down", "👇"}, {"point_left", "👈"}, {"point_right", "👉"}, {"point_up", "☝️"}, {"poop", "💩"},
	{"pray", "🙏"}, {"printer", "🖨️"}, {"purple_heart", "💜"}, {"pushpin", "📌"}, {"question", "❓"},
	{"radioactive_sign", "☢️"}, {"rage", "😡"}, {"rain_cloud", "🌧️"}, {"rainbow", "🌈"}, {"raised_hand", "✋"},
	{"raised_hands", "🙌"}, {"raising_hand", "🙋"}, {"recycle", "♻️"}, {"red_circle", "🔴"}, {"relieved", "😌"},
	{"robot", "🤖"}, {"rocket", "🚀"}, {"rofl", "🤣"}, {"roll_eyes", "🙄"}, {"rose", "🌹"}, {"rotating_light", "🚨"},
	{"round_pushpin", "📍"}, {"running", "🏃"}, {"saluting_face", "🫡"}, {"satellite", "📡"}, {"scream", "😱"},
	{"see_no_evil", "🙈"}, {"ship", "🚢"}, {"shrug", "🤷"}, {"shushing_face", "🤫"}, {"skull", "💀"},
	{"sleeping", "😴"}, {"sleepy", "😪"}, {"slightly_frowning_face", "🙁"}, {"slightly_smiling_face", "🙂"},
	{"smile", "😄"}, {"smiley", "😃"}, {"smirk", "😏"}, {"snail", "🐌"}, {"sneezing_face", "🤧"},
	{"snowflake", "❄️"}, {"sob", "😭"}, {"soccer", "⚽"}, {"sparkles", "✨"}, {"speak_no_evil", "🙊"},
	{"speech_balloon", "💬"}, {"star", "⭐"}, {"star_struck", "🤩"}, {"stopwatch", "⏱️"},
	{"stuck_out_tongue", "😛"}, {"stuck_out_tongue_winking_eye", "😜"}, {"sunflower", "🌻"}, {"sunglasses", "😎"},
	{"sunny", "☀️"}, {"sweat", "😓"}, {"sweat_drops", "💦"}, {"sweat_smile", "😅"}, {"tada", "🎉"}, {"tea", "🍵"},
	{"telephone_receiver", "📞"}, {"telescope", "🔭"}, {"test_tube", "🧪"}, {"thermometer", "🌡️"},
	{"thinking", "🤔"}, {"thinking_face", "🤔"}, {"thought_balloon", "💭"}, {"three", "3️⃣"}, {"thumbsdown", "👎"},
	{"thumbsup", "👍"}, {"tired_face", "😫"}, {"train", "🚋"}, {"triangular_flag_on_post", "🚩"}, {"trophy", "🏆"},
	{"turtle", "🐢"}, {"two", "2️⃣"}, {"umbrella", "☔"}, {"unamused", "😒"}, {"unicorn", "🦄"}, {"unlock", "🔓"},
	{"upside_down_face", "🙃"}, {"us", "🇺🇸"}, {"v", "✌️"}, {"walking", "🚶"}, {"warning", "⚠️"}, {"watch", "⌚"},
	{"wave", "👋"}, {"weary", "😩"}, {"whale", "🐳"}, {"white_check_mark", "✅"}, {"white_circle", "⚪"},
	{"white_flag", "🏳️"}, {"wink", "😉"}, {"woman_shrugging", "🤷‍♀️"}, {"worried", "😟"}, {"wrench", "🔧"},
	{"writing_hand", "✍️"}, {"x", "❌"}, {"yellow_heart", "💛"}, {"yum", "😋"}, {"zany_face", "🤪"}, {"zap", "⚡"},
	{"zipper_mouth_face", "🤐"}, {"zzz", "💤"},
};

struct wanted { const char *name; size_t len; };

static int by_name(const void *key, const void *item)
{
	const struct wanted *w = key;
	const struct emoji *e = item;
	int c = strncmp(w->name, e->name, w->len);

	return c ? c : e->name[w->len] ? -1 : 0;
}

const char *audit_emoji(const char *name, size_t len)
{
	struct wanted w = {name, len};

	if (len == 0 || memchr(name, '\0', len))
		return NULL;
	const struct emoji *e = bsearch(&w, emoji, ARRAY_LEN(emoji), sizeof(*emoji), by_name);
	return e ? e->code : NULL;
}
