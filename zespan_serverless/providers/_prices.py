"""Prices of models, made by `python -m tools.prices` of genai-prices 0.2.3 on 2026-11-29.

genai-prices is (c) Pydantic Services Inc., MIT: https://github.com/pydantic/genai-prices.
"""

from __future__ import annotations

MADE = "2026-11-29"
TABLE = """\
[anthropic]
^claude-2 *claude-v2	8 24
^claude-3-5-haiku ^claude-3.5-haiku	0.8 4 0.08 1 1.6
^claude-3-5-sonnet ^claude-3.5-sonnet	3 15 0.3 3.75 6
^claude-3-7-sonnet ^claude-3.7-sonnet ^claude-sonnet-3.7 ^claude-sonnet-3-7	3 15 0.3 3.75 6
^claude-3-haiku	0.25 1.25 0.03 0.3 0.5
^claude-3-opus	15 75 1.5 18.75 30
^claude-3-sonnet	3 15 0.3 3.75 6
=claude-fable-5	10 50 1 12.5 20
=claude-fable-5-1	10 50 0.25 12.5 20
=claude-fable-5-2	8 40 0.2 10 16
^claude-haiku-4-5 ^claude-haiku-4.5 ^claude-4-5-haiku ^claude-4.5-haiku	1 5 0.1 1.25 2
=claude-haiku-5-5 ^claude-haiku-5-5@ ^claude-haiku-5.5 ^claude-5-5-haiku ^claude-5.5-haiku	0.1 0.5 0.01 0.125 0.2|>100000 0.5 2.5 0.05 0.625 1
=claude-mythos-5-2	8 40 0.2 10 16
^claude-opus-4-0 ^claude-4-opus =claude-opus-4 =claude-opus-4-20250514	15 75 1.5 18.75 30
^claude-opus-4-1 ^claude-opus-4.1	15 75 1.5 18.75 30
^claude-opus-4-5 ^claude-opus-4.5 ^claude-4-5-opus ^claude-4.5-opus	5 25 0.5 6.25 10
^claude-opus-4-6 ^claude-opus-4.6 ^claude-4-6-opus ^claude-4.6-opus	5 25 0.5 6.25 10
^claude-opus-4-7 ^claude-opus-4.7 ^claude-4-7-opus ^claude-4.7-opus	5 25 0.5 6.25 10
^claude-opus-4-8 ^claude-opus-4.8 ^claude-4-8-opus ^claude-4.8-opus	5 25 0.5 6.25 10
=claude-opus-5 =claude-opus-5-latest ^claude-opus-5.0 ^claude-5-opus ^claude-5.0-opus	5 25 0.5 6.25 10
=claude-opus-5-5 ^claude-opus-5.5 ^claude-5-5-opus ^claude-5.5-opus	4 20 0.2 5 8
^claude-sonnet-4-2025 ^claude-sonnet-4-0 ^claude-sonnet-4@ =claude-sonnet-4 ^claude-4-sonnet	3 15 0.3 3.75 6
^claude-sonnet-4-5 ^claude-sonnet-4.5	3 15 0.3 3.75 6|>200000 6 22.5 0.6 7.5 12
^claude-sonnet-4-6 ^claude-sonnet-4.6	3 15 0.3 3.75 6
=claude-sonnet-5 ^claude-sonnet-5@ ^claude-sonnet-5.0 ^claude-5-sonnet ^claude-5.0-sonnet	2 10 0.2 2.5 4
=claude-sonnet-5-5 ^claude-sonnet-5-5@ ^claude-sonnet-5.5 ^claude-5-5-sonnet ^claude-5.5-sonnet	2 10 0.1 2.5 4
=claude-v1	8 24
[aws]
*amazon.nova-2-sonic	0.33 2.75|audio 3 12
*amazon.nova-lite	0.06 0.24 0.015
*amazon.nova-micro	0.035 0.14 0.00875
*amazon.nova-premier	2.5 12.5 0.625
*amazon.nova-pro	0.8 3.2 0.2
*amazon.nova-sonic	0.06 0.24|audio 3.4 13.6
$amazon.titan-embed-text *amazon.titan-embed-text-v1	0.1
*amazon.titan-embed-text-v2	0.02
*titan-text-express	0.2 0.6
*titan-text-lite	0.15 0.2
*deepseek.r1	1.35 5.4
*global.amazon.nova-2-lite	0.3 2.5 0.075
$global.anthropic.claude-fable-5-1 *global.anthropic.claude-fable-5-1-v1	10 50 0.25 12.5 20
$global.anthropic.claude-fable-5-2 *global.anthropic.claude-fable-5-2-v1	8 40 0.2 10 16
$global.anthropic.claude-fable-5 *global.anthropic.claude-fable-5-v1	10 50 1 12.5 20
*global.anthropic.claude-haiku-4-5-20251001	1 5 0.1 1.25 2
$global.anthropic.claude-haiku-5-5 *global.anthropic.claude-haiku-5-5-v1	0.1 0.5 0.01 0.125 0.2|>100000 0.5 2.5 0.05 0.625 1
$global.anthropic.claude-mythos-5-2 *global.anthropic.claude-mythos-5-2-v1	8 40 0.2 10 16
*global.anthropic.claude-opus-4-5	5 25 0.5 6.25 10
*global.anthropic.claude-opus-4-6	5 25 0.5 6.25 10
*global.anthropic.claude-opus-4-7	5 25 0.5 6.25 10
*global.anthropic.claude-opus-4-8	5 25 0.5 6.25 10
$global.anthropic.claude-opus-5 *global.anthropic.claude-opus-5-v1	5 25 0.5 6.25 10
$global.anthropic.claude-opus-5-5 *global.anthropic.claude-opus-5-5-v1	4 20 0.2 5 8
*global.anthropic.claude-sonnet-4-20250514	3 15 0.3 3.75
*global.anthropic.claude-sonnet-4-5-20250929	3 15 0.3 3.75 6
*global.anthropic.claude-sonnet-4-6	3 15 0.3 3.75 6
$global.anthropic.claude-sonnet-5-5 *global.anthropic.claude-sonnet-5-5-v1	2 10 0.1 2.5 4
$global.anthropic.claude-sonnet-5 *global.anthropic.claude-sonnet-5-v1	2 10 0.2 2.5 4
=global.moonshotai.kimi-k3 $/global.moonshotai.kimi-k3	3 15 0.3 3.75
*global.moonshotai.kimi-k3.1	4 20 0.2 5
*global.openai.gpt-5.6-luna	0.2 1.2 0.02 0.25|>272000 0.4 1.8 0.04 0.5
*global.openai.gpt-5.6-sol	4 20 0.4 5|>272000 8 30 0.8 10
*global.openai.gpt-5.6-terra	2 12 0.2 2.5|>272000 4 18 0.4 5
*global.openai.gpt-6-astra	10 50 1 12.5|>272000 20 75 2 25
*global.openai.gpt-6-luna	0.1 0.5 0.01 0.125|>272000 0.2 0.75 0.02 0.25
*global.openai.gpt-6-sol	2 10 0.2 2.5|>272000 4 15 0.4 5
*global.openai.gpt-6.1-sol	2 10 0.1 2.5|>272000 4 15 0.2 5
*global.openai.gpt-6.1-terra	1 5 0.05 1.25|>272000 2 7.5 0.1 2.5
=global.zai.glm-5.3 $/global.zai.glm-5.3	1.68 5.28 0.312 2.1
*google.gemma-3-12b-it	0.09 0.29
*google.gemma-3-27b-it	0.23 0.38
*google.gemma-3-4b-it	0.04 0.08
*meta.llama3-1-70b-instruct	0.72 0.72
*meta.llama3-1-8b-instruct	0.22 0.22
*meta.llama3-2-11b-instruct	0.16 0.16
*meta.llama3-2-1b-instruct	0.1 0.1
*meta.llama3-2-3b-instruct	0.15 0.15
*meta.llama3-2-90b-instruct	0.72 0.72
*meta.llama3-3-70b-instruct	0.72 0.72
*meta.llama3-70b-instruct	2.65 3.5
*meta.llama3-8b-instruct	0.3 0.6
*meta.llama4-maverick-17b-instruct	0.24 0.97
*meta.llama4-scout-17b-instruct	0.17 0.66
*mistral.devstral-2-123b	0.4 2
*mistral.magistral-small-2509	0.5 1.5
*mistral.ministral-3-14b-instruct	0.2 0.2
*mistral.ministral-3-3b-instruct	0.1 0.1
*mistral.ministral-3-8b-instruct	0.15 0.15
*mistral.mistral-7b-instruct-v0	0.15 0.2
*mistral.mistral-large-2402	4 12
*mistral.mistral-large-3-675b-instruct	0.5 1.5
*mistral.mistral-small-2402	1 3
*mistral.mixtral-8x7b-instruct-v0	0.45 0.7
*mistral.pixtral-large-2502	2 6
*mistral.voxtral-mini-3b-2507	0.04 0.04
*mistral.voxtral-small-24b-2507	0.1 0.3
*nvidia.nemotron-nano-3-30b	0.06 0.24
*nvidia.nemotron-nano-9b-v2	0.06 0.23
*nvidia.nemotron-super-3-120b	0.15 0.65
=openai.gpt-5.4	2.75 16.5 0.275
=openai.gpt-5.5	5.5 33 0.55
*openai.gpt-oss-120b-1	0.15 0.6
*openai.gpt-oss-20b-1	0.07 0.3
*qwen.qwen3-32b	0.15 0.6
*qwen.qwen3-coder-30b-a3b	0.15 0.6
*qwen.qwen3-coder-480b-a35b	0.45 1.8
*qwen.qwen3-vl-235b-a22b	0.53 2.66
*us.amazon.nova-2-lite *eu.amazon.nova-2-lite *jp.amazon.nova-2-lite	0.33 2.75 0.0825
*claude-3-5-haiku-20241022	0.8 4 0.08 1
*claude-3-5-sonnet-20240620	3 15 0.3 3.75
*claude-3-5-sonnet-20241022	3 15 0.3 3.75
*claude-3-7-sonnet-20250219	3 15 0.3 3.75
*claude-3-haiku-20240307	0.25 1.25
*claude-3-opus-20240229	15 75
*claude-3-sonnet-20240229	3 15 0.3 3.75
=anthropic.claude-fable-5-1 =claude-fable-5-1 ^anthropic.claude-fable-5-1-v1 ^claude-fable-5-1-v1 =us.anthropic.claude-fable-5-1 *us.anthropic.claude-fable-5-1-v1	11 55 0.275 13.75 22
=anthropic.claude-fable-5-2 =claude-fable-5-2 ^anthropic.claude-fable-5-2-v1 ^claude-fable-5-2-v1 =us.anthropic.claude-fable-5-2 =eu.anthropic.claude-fable-5-2 *us.anthropic.claude-fable-5-2-v1 *eu.anthropic.claude-fable-5-2-v1	8.8 44 0.22 11 17.6
=anthropic.claude-fable-5 =claude-fable-5 ^anthropic.claude-fable-5-v1 ^claude-fable-5-v1 =us.anthropic.claude-fable-5 =au.anthropic.claude-fable-5 =eu.anthropic.claude-fable-5 *us.anthropic.claude-fable-5-v1 *au.anthropic.claude-fable-5-v1 *eu.anthropic.claude-fable-5-v1 *jp.anthropic.claude-fable-5-v1	11 55 1.1 13.75 22
^anthropic.claude-haiku-4-5-20251001 ^claude-haiku-4-5-20251001 *us.anthropic.claude-haiku-4-5-20251001 *au.anthropic.claude-haiku-4-5-20251001 *apac.anthropic.claude-haiku-4-5-20251001 *eu.anthropic.claude-haiku-4-5-20251001 *us-gov.anthropic.claude-haiku-4-5-20251001 *jp.anthropic.claude-haiku-4-5-20251001 *in.anthropic.claude-haiku-4-5-20251001	1.1 5.5 0.11 1.375 2.2
=anthropic.claude-haiku-5-5 =claude-haiku-5-5 ^anthropic.claude-haiku-5-5-v1 ^claude-haiku-5-5-v1 =us.anthropic.claude-haiku-5-5 =au.anthropic.claude-haiku-5-5 =apac.anthropic.claude-haiku-5-5 =eu.anthropic.claude-haiku-5-5 =us-gov.anthropic.claude-haiku-5-5 =jp.anthropic.claude-haiku-5-5 *us.anthropic.claude-haiku-5-5-v1 *au.anthropic.claude-haiku-5-5-v1 *apac.anthropic.claude-haiku-5-5-v1 *eu.anthropic.claude-haiku-5-5-v1 *us-gov.anthropic.claude-haiku-5-5-v1 *jp.anthropic.claude-haiku-5-5-v1	0.11 0.55 0.011 0.1375 0.22|>100000 0.55 2.75 0.055 0.6875 1.1
=anthropic.claude-mythos-5-2 =claude-mythos-5-2 ^anthropic.claude-mythos-5-2-v1 ^claude-mythos-5-2-v1 =us.anthropic.claude-mythos-5-2 =eu.anthropic.claude-mythos-5-2 *us.anthropic.claude-mythos-5-2-v1 *eu.anthropic.claude-mythos-5-2-v1	8.8 44 0.22 11 17.6
^anthropic.claude-opus-4-1-20250805 ^claude-opus-4-1-20250805 *us.anthropic.claude-opus-4-1-20250805 *au.anthropic.claude-opus-4-1-20250805 *apac.anthropic.claude-opus-4-1-20250805 *eu.anthropic.claude-opus-4-1-20250805 *us-gov.anthropic.claude-opus-4-1-20250805 *jp.anthropic.claude-opus-4-1-20250805	15 75 1.5 18.75
^anthropic.claude-opus-4-20250514 ^claude-opus-4-20250514 *us.anthropic.claude-opus-4-20250514 *au.anthropic.claude-opus-4-20250514 *apac.anthropic.claude-opus-4-20250514 *eu.anthropic.claude-opus-4-20250514 *us-gov.anthropic.claude-opus-4-20250514 *jp.anthropic.claude-opus-4-20250514	15 75 1.5 18.75
^anthropic.claude-opus-4-5 ^claude-opus-4-5 *us.anthropic.claude-opus-4-5 *au.anthropic.claude-opus-4-5 *apac.anthropic.claude-opus-4-5 *eu.anthropic.claude-opus-4-5 *us-gov.anthropic.claude-opus-4-5 *jp.anthropic.claude-opus-4-5	5.5 27.5 0.55 6.875 11
^anthropic.claude-opus-4-6 ^claude-opus-4-6 *us.anthropic.claude-opus-4-6 *au.anthropic.claude-opus-4-6 *apac.anthropic.claude-opus-4-6 *eu.anthropic.claude-opus-4-6 *us-gov.anthropic.claude-opus-4-6 *jp.anthropic.claude-opus-4-6	5.5 27.5 0.55 6.875 11
^anthropic.claude-opus-4-7 ^claude-opus-4-7 *us.anthropic.claude-opus-4-7 *au.anthropic.claude-opus-4-7 *apac.anthropic.claude-opus-4-7 *eu.anthropic.claude-opus-4-7 *us-gov.anthropic.claude-opus-4-7 *jp.anthropic.claude-opus-4-7	5.5 27.5 0.55 6.875 11
^anthropic.claude-opus-4-8 ^claude-opus-4-8 *us.anthropic.claude-opus-4-8 *au.anthropic.claude-opus-4-8 *eu.anthropic.claude-opus-4-8 *jp.anthropic.claude-opus-4-8	5.5 27.5 0.55 6.875 11
=anthropic.claude-opus-5 =claude-opus-5 ^anthropic.claude-opus-5-v1 ^claude-opus-5-v1 =us.anthropic.claude-opus-5 =au.anthropic.claude-opus-5 =eu.anthropic.claude-opus-5 =jp.anthropic.claude-opus-5 =in.anthropic.claude-opus-5 *us.anthropic.claude-opus-5-v1 *au.anthropic.claude-opus-5-v1 *eu.anthropic.claude-opus-5-v1 *jp.anthropic.claude-opus-5-v1 *in.anthropic.claude-opus-5-v1	5.5 27.5 0.55 6.875 11
=anthropic.claude-opus-5-5 =claude-opus-5-5 ^anthropic.claude-opus-5-5-v1 ^claude-opus-5-5-v1 =us.anthropic.claude-opus-5-5 =au.anthropic.claude-opus-5-5 =eu.anthropic.claude-opus-5-5 =jp.anthropic.claude-opus-5-5 *us.anthropic.claude-opus-5-5-v1 *au.anthropic.claude-opus-5-5-v1 *eu.anthropic.claude-opus-5-5-v1 *jp.anthropic.claude-opus-5-5-v1	4.4 22 0.22 5.5 8.8
^anthropic.claude-sonnet-4-20250514 ^claude-sonnet-4-20250514 *us.anthropic.claude-sonnet-4-20250514 *au.anthropic.claude-sonnet-4-20250514 *apac.anthropic.claude-sonnet-4-20250514 *eu.anthropic.claude-sonnet-4-20250514 *us-gov.anthropic.claude-sonnet-4-20250514 *jp.anthropic.claude-sonnet-4-20250514	3 15 0.3 3.75
^anthropic.claude-sonnet-4-5-20250929 ^claude-sonnet-4-5-20250929 *us.anthropic.claude-sonnet-4-5-20250929 *au.anthropic.claude-sonnet-4-5-20250929 *apac.anthropic.claude-sonnet-4-5-20250929 *eu.anthropic.claude-sonnet-4-5-20250929 *us-gov.anthropic.claude-sonnet-4-5-20250929 *jp.anthropic.claude-sonnet-4-5-20250929	3.3 16.5 0.33 4.125 6.6
^anthropic.claude-sonnet-4-6 ^claude-sonnet-4-6 *us.anthropic.claude-sonnet-4-6 *au.anthropic.claude-sonnet-4-6 *apac.anthropic.claude-sonnet-4-6 *eu.anthropic.claude-sonnet-4-6 *us-gov.anthropic.claude-sonnet-4-6 *jp.anthropic.claude-sonnet-4-6	3.3 16.5 0.33 4.125 6.6
=anthropic.claude-sonnet-5-5 =claude-sonnet-5-5 ^anthropic.claude-sonnet-5-5-v1 ^claude-sonnet-5-5-v1 =us.anthropic.claude-sonnet-5-5 =au.anthropic.claude-sonnet-5-5 =apac.anthropic.claude-sonnet-5-5 =eu.anthropic.claude-sonnet-5-5 =us-gov.anthropic.claude-sonnet-5-5 =jp.anthropic.claude-sonnet-5-5 *us.anthropic.claude-sonnet-5-5-v1 *au.anthropic.claude-sonnet-5-5-v1 *apac.anthropic.claude-sonnet-5-5-v1 *eu.anthropic.claude-sonnet-5-5-v1 *us-gov.anthropic.claude-sonnet-5-5-v1 *jp.anthropic.claude-sonnet-5-5-v1	2.2 11 0.11 2.75 4.4
=anthropic.claude-sonnet-5 =claude-sonnet-5 ^anthropic.claude-sonnet-5-v1 ^claude-sonnet-5-v1 =us.anthropic.claude-sonnet-5 =au.anthropic.claude-sonnet-5 =apac.anthropic.claude-sonnet-5 =eu.anthropic.claude-sonnet-5 =us-gov.anthropic.claude-sonnet-5 =jp.anthropic.claude-sonnet-5 =in.anthropic.claude-sonnet-5 *us.anthropic.claude-sonnet-5-v1 *au.anthropic.claude-sonnet-5-v1 *apac.anthropic.claude-sonnet-5-v1 *eu.anthropic.claude-sonnet-5-v1 *us-gov.anthropic.claude-sonnet-5-v1 *jp.anthropic.claude-sonnet-5-v1 *in.anthropic.claude-sonnet-5-v1	2.2 11 0.22 2.75 4.4
=us.moonshotai.kimi-k3 =in.moonshotai.kimi-k3 $/us.moonshotai.kimi-k3 $/in.moonshotai.kimi-k3 =moonshotai.kimi-k3	3.3 16.5 0.33 4.125
*us.moonshotai.kimi-k3.1 *in.moonshotai.kimi-k3.1	4.4 22 0.22 5.5
^openai.gpt-5.6-luna ^gpt-5.6-luna *us.openai.gpt-5.6-luna *in.openai.gpt-5.6-luna	0.22 1.32 0.022 0.275|>272000 0.44 1.98 0.044 0.55
^openai.gpt-5.6-sol ^gpt-5.6-sol *us.openai.gpt-5.6-sol	4.4 22 0.44 5.5|>272000 8.8 33 0.88 11
^openai.gpt-5.6-terra ^gpt-5.6-terra *us.openai.gpt-5.6-terra *in.openai.gpt-5.6-terra	2.2 13.2 0.22 2.75|>272000 4.4 19.8 0.44 5.5
^openai.gpt-6-astra ^gpt-6-astra *us.openai.gpt-6-astra	11 55 1.1 13.75|>272000 22 82.5 2.2 27.5
^openai.gpt-6-luna ^gpt-6-luna *us.openai.gpt-6-luna *in.openai.gpt-6-luna	0.11 0.55 0.011 0.1375|>272000 0.22 0.825 0.022 0.275
^openai.gpt-6-sol ^gpt-6-sol *us.openai.gpt-6-sol *in.openai.gpt-6-sol	2.2 11 0.22 2.75|>272000 4.4 16.5 0.44 5.5
^openai.gpt-6.1-sol ^gpt-6.1-sol *us.openai.gpt-6.1-sol	2.2 11 0.11 2.75|>272000 4.4 16.5 0.22 5.5
^openai.gpt-6.1-terra ^gpt-6.1-terra *us.openai.gpt-6.1-terra	1.1 5.5 0.055 1.375|>272000 2.2 8.25 0.11 2.75
=us.zai.glm-5.3 $/us.zai.glm-5.3	1.848 5.808 0.3432 2.31
*writer.palmyra-x4	2.5 10
*writer.palmyra-x5	0.6 6
[azure]
=ada =text-embedding-ada =text-embedding-ada-002 =text-embedding-ada-002-v2	0.1
=babbage =babbage-002	0.4
=curie =text-curie =text-curie-001	2
=davinci =davinci-002 =text-davinci =text-davinci-002	2
=o1 =o1-2024-12-17	15 60 7.5
=o1-mini =o1-mini-2024-09-12	1.1 4.4 0.55
=o1-preview =o1-preview-2024-09-12	15 60 7.5
=o3 =o3-2025-04-16	2 8 0.5
=o3-mini =o3-mini-2025-01-31	1.1 4.4 0.55
*o4-mini *o4-mini-2025-04-16	1.1 4.4 0.275
=phi-3-medium-128k-instruct	0.17 0.68
=phi-3-mini-128k-instruct	0.13 0.52
=phi-3.5-mini-128k-instruct	0.13 0.52
=phi-4	0.125 0.5
=phi-4-mini-instruct	0.075 0.3
=phi-4-multimodal-instruct	0.08 0.32|audio 4
=phi-4-reasoning-plus	0.125 0.5
=text-embedding-3-large	0.13
=text-embedding-3-small	0.02
=wizardlm-2-8x22b	0.48 0.48
[cerebras]
=gemma-4-31b ^cerebras/gemma-4-31b ^cerebras:gemma-4-31b	0.99 1.49
=gpt-oss-120b ^cerebras/gpt-oss-120b ^cerebras:gpt-oss-120b	0.35 0.75
=llama-3.3-70b ^cerebras/llama-3.3-70b ^cerebras:llama-3.3-70b	0.85 1.2
=llama3.1-8b ^cerebras/llama3.1-8b ^cerebras:llama3.1-8b	0.1 0.1
=qwen-3-32b ^cerebras/qwen-3-32b ^cerebras:qwen-3-32b	0.4 0.8
=qwen-3.8-27b ^cerebras/qwen-3.8-27b ^cerebras:qwen-3.8-27b	0.99 1.49
=zai-glm-4.7 ^cerebras/zai-glm-4.7 ^cerebras:zai-glm-4.7	2.25 2.75
[cohere]
*aya-expanse-32b	0.5 1.5
*aya-expanse-8b	0.5 1.5
=command	1 2
=command-a =command-a-03-2025	2.5 10
^command-light	0.3 0.6
=command-r =command-r-08-2024	0.15 0.6
=command-r-plus =command-r-plus-08-2024	2.5 10
=command-r7b =command-r7b-12-2024	0.0375 0.15
=embed-v4.0	0.12
[deepseek]
^deepseek-chat =deepseek-chat-v3-0324	0.135 0.55 0.035
=deepseek-flash	0.15 0.6 0.003
=deepseek-reasoner ^deepseek-r1 =deepseek-r1-0528	0.135 0.55 0.035
=deepseek-v3.1-terminus	0.27 0.95 0.13
=deepseek-v3.2	0.2288 0.3432
=deepseek-v3.2-exp	0.27 0.41
^deepseek-v4-flash	0.15 0.6 0.003
^deepseek-v4-pro	0.66 1.98 0.022
[google]
*claude-3-5-haiku	0.8 4 0.08 1
*claude-3-5-sonnet	3 15 0.3 3.75
*claude-3-7-sonnet	3 15 0.3 3.75
*claude-3-haiku	0.25 1.25 0.03 0.3
*claude-3-opus	15 75 1.5 18.75
*claude-4-opus *claude-opus-4@ *claude-opus-4-0 *claude-opus-4-1 =claude-opus-4	15 75 1.5 18.75
*claude-4-sonnet *claude-sonnet-4-0 *claude-sonnet-4@ *claude-sonnet-4-2025 =claude-sonnet-4 =anthropic/claude-sonnet-4	3 15 0.3 3.75
$claude-fable-5 *claude-fable-5@	10 50 1 12.5 20
$claude-fable-5-1 *claude-fable-5-1@	10 50 0.25 12.5 20
$claude-fable-5-2 *claude-fable-5-2@	8 40 0.2 10 16
*claude-haiku-4-5 *claude-haiku-4.5	1 5 0.1 1.25 2
*claude-haiku-5-5 *claude-haiku-5.5 *claude-5-5-haiku *claude-5.5-haiku	0.1 0.5 0.01 0.125 0.2|>100000 0.5 2.5 0.05 0.625 1
*claude-4-5-opus *claude-opus-4-5 *claude-4.5-opus *claude-opus-4.5	5 25 0.5 6.25 10
*claude-4-6-opus *claude-opus-4-6 *claude-4.6-opus *claude-opus-4.6	5 25 0.5 6.25 10
*claude-4-7-opus *claude-opus-4-7 *claude-4.7-opus *claude-opus-4.7	5 25 0.5 6.25 10
*claude-4-8-opus *claude-opus-4-8 *claude-4.8-opus *claude-opus-4.8	5 25 0.5 6.25 10
*claude-5-opus $claude-opus-5 *claude-opus-5@ *claude-5.0-opus *claude-opus-5.0	5 25 0.5 6.25 10
*claude-5-5-opus $claude-opus-5-5 *claude-opus-5-5@ *claude-5.5-opus *claude-opus-5.5	4 20 0.2 5 8
*claude-sonnet-4-5 *claude-sonnet-4.5	3 15 0.3 3.75 6|>200000 6 22.5 0.6 7.5 12
*claude-sonnet-4-6 *claude-sonnet-4.6	3 15 0.3 3.75 6
*claude-sonnet-5-5 *claude-sonnet-5.5 *claude-5-5-sonnet *claude-5.5-sonnet	2 10 0.1 2.5 4
=gemini-1.0-pro-vision-001	0.125 0.375
*gemini-1.5-flash	0.075 0.3 0.01875|>128000 0.15 0.6 0.0375
*gemini-1.5-pro	1.25 5|>128000 2.5 10
$gemini-2.0-flash *gemini-2.0-flash-0 *gemini-2.0-flash-exp *gemini-2.0-flash-thinking *gemini-2.0-flash-latest	0.1 0.4 0.025|audio 0.7 - 0.175
*gemini-2.0-flash-lite	0.075 0.3
=gemini-2.5-flash =gemini-2.5-flash-latest =gemini-2.5-flash-preview-09-2025	0.3 2.5 0.03|audio 1 - 0.1
=gemini-2.5-flash-image =gemini-2.5-flash-image-preview	0.3 2.5
=gemini-2.5-flash-lite ^gemini-2.5-flash-lite-preview&~^(?!.*-[tT][tT][sS](?:$|-))	0.1 0.4 0.01|audio 0.3 - 0.03
=gemini-2.5-flash-lite-preview-tts	0.5 10
*gemini-2.5-flash-preview-05-20 *gemini-2.5-flash-preview-04-17 =gemini-2.5-flash-preview-05-20:thinking =gemini-2.5-flash-preview =gemini-2.5-flash-preview:thinking	0.15 0.6
=gemini-2.5-flash-tts =gemini-2.5-flash-preview-tts	0.5 10
^gemini-2.5-pro&~^(?!.*-[tT][tT][sS](?:$|-))	1.25 10 0.125|>200000 2.5 15 0.25
=gemini-2.5-pro-tts =gemini-2.5-pro-preview-tts	1 20
=gemini-3-flash-preview ^gemini-3-flash-preview-	0.5 3 0.05|audio 1 - 0.1
=gemini-3-pro-image ^gemini-3-pro-image-preview	2 12
^gemini-3-pro-preview =gemini-3-pro-text-preview	2 12 0.2|>200000 4 18 0.4
=gemini-3.1-flash-image ^gemini-3.1-flash-image-preview	0.5 3
=gemini-3.1-flash-lite ^gemini-3.1-flash-lite-preview	0.25 1.5 0.025|audio 0.5 - 0.05
^gemini-3.1-flash-lite-image	0.25 1.5
^gemini-3.1-flash-live-preview	0.75 4.5|audio 3 12
=gemini-3.1-flash-tts-preview	1 20
^gemini-3.1-pro-preview =gemini-pro-latest	2 12 0.2|>200000 4 18 0.4
=gemini-3.5-flash ^gemini-3.5-flash-preview	1.5 9 0.15
^gemini-3.5-flash-lite =gemini-flash-lite-latest	0.3 2.5 0.03
^gemini-3.6-flash	0.75 3.75 0.075|@2027-01-01 1.5 7.5 0.15
^gemini-3.7-flash	0.75 3.75 0.075|@2027-01-01 1.5 7.5 0.15
^gemini-3.8-flash&~^(?!.*-[tT][tT][sS](?:$|-)) =gemini-flash-latest	0.75 3.75 0.075|@2027-01-01 1.5 7.5 0.15
=gemini-3.8-flash-lite-tts	0.5 6|@2027-01-01 1 12|flex 0.5 6|flex 0.25 3|priority 1.8 21.6|priority 0.9 10.8
=gemini-3.8-flash-tts	0.5 9|@2027-01-01 1 18|flex 0.5 9|flex 0.25 4.5|priority 1.8 32.4|priority 0.9 16.2
^gemini-3.8-live	0.75 4.5|audio 3 12
=gemini-4-argon ^gemini-4-argon-preview	2 10 0.1|@2026-12-01 4 20 0.2
=gemini-embedding-001	0.15
=gemini-embedding-2 =gemini-embedding-2-preview	0.2|audio 6.5
=gemini-flash-1.5	0.075 0.3 0.01875|>128000 0.15 0.6 0.0375
=gemini-flash-1.5-8b	0.0375 0.15 0.01|>128000 0.075 0.3 0.02
^gemini-live-2.5-flash ^gemini-2.5-flash-native-audio-preview =gemini-2.5-flash-native-audio-latest	0.5 2|audio 3 12
=gemini-nano-banana-2.1	1.5 7.5
=gemini-omni-1.1-flash	1.5 9
^gemini-omni-flash-preview	1.5 9
=gemini-pro =gemini-1.0-pro	0.125 0.375
=gemini-pro-1.5	1.25 5 0.3125|>128000 2.5 10 0.625
=gemini-robotics-er-2-preview	1 5 0.1|@2027-01-01 2 10 0.2
=gemini-robotics-er-2-streaming-preview	1 5|@2027-01-01 2 10
=gemma-2-27b-it	0.65 0.65
=gemma-4-26b-a4b-it-maas	0.15 0.6 0.015
[groq]
=deepseek-r1-distill-llama-70b	0.75 0.99
=gemma-7b-it	0.07 0.07
=gemma2-9b-it =gemma2-9b	0.2 0.2
=llama-3.1-405b-reasoning	0.59 0.79
=llama-3.1-70b-versatile	0.59 0.79
=llama-3.1-8b-instant	0.05 0.08
=llama-3.2-11b-text-preview	0.18 0.18
=llama-3.2-11b-vision-preview	0.18 0.18
=llama-3.2-1b-preview	0.04 0.04
=llama-3.2-3b-preview	0.06 0.06
=llama-3.2-90b-text-preview	0.9 0.9
=llama-3.2-90b-vision-preview	0.9 0.9
=llama-3.3-70b-specdec	0.59 0.99
=llama-3.3-70b-versatile	0.59 0.79
=llama-guard-3-8b	0.2 0.2
=llama2-70b-4096	0.7 0.8
=llama3-70b-8192	0.59 0.79
=llama3-8b-8192	0.05 0.08
=llama3-groq-70b-8192-tool-use-preview	0.89 0.89
=llama3-groq-8b-8192-tool-use-preview	0.19 0.19
=meta-llama/llama-4-maverick-17b-128e-instruct	0.2 0.6
=meta-llama/llama-4-scout-17b-16e-instruct	0.11 0.34
=meta-llama/llama-guard-4-12b	0.2 0.2
=meta-llama/llama-prompt-guard-2-22m	0.03 0.03
=meta-llama/llama-prompt-guard-2-86m	0.04 0.04
=mistral-saba-24b	0.79 0.79
=mixtral-8x7b-32768	0.24 0.24
=moonshotai/kimi-k2-instruct =moonshotai/kimi-k2-instruct-0905	1 3 0.5
=openai/gpt-oss-120b	0.15 0.6 0.075
=openai/gpt-oss-20b	0.075 0.3 0.0375
=openai/gpt-oss-safeguard-20b	0.075 0.3 0.0375
=qwen/qwen3-32b	0.29 0.59
=qwen/qwen3.8-27b	0.8 4
[mistral]
=codestral-latest =codestral-2501	0.3 0.9
=codestral-2508	0.3 0.9 0.03
=codestral-embed-2505 =codestral-embed	0.15 - 0.015
=deepseek-v4-1-flash-1017	0.3 1.2 0.007
=devstral-2512	0.4 2 0.04
=devstral-small =devstral-small-2505 =devstral-small-2507 =devstral-small-latest =labs-devstral-small-2512	0.1 0.3
^magistral-medium	2 5
^magistral-small-	0.5 1.5
=ministral-14b-2512	0.2 0.2 0.02
=ministral-3b	0.04 0.04
=ministral-3b-2512	0.1 0.1 0.01
=ministral-8b =ministral-8b-2410	0.1 0.1
=ministral-8b-2512	0.15 0.15 0.015
=ministral-8b-latest	0.15 0.15 0.015
=mistral-7b =open-mistral-7b	0.25 0.25
=mistral-embed =mistral-embed-2312	0.1 0.1
=mistral-large =mistral-large-latest =mistral-large-2407 =mistral-large-2411	2 6
=mistral-large-2512	0.5 1.5 0.05
=mistral-large-4 =mistral-large-4-0	0.7 2.1 0.07
=mistral-medium-2312	2.7 8.1
=mistral-medium =mistral-medium-2505 =mistral-medium-2508	0.4 2 0.04
=mistral-medium-3.5 =mistral-medium-3-5 =mistral-medium-3 =mistral-medium-2604	1.5 7.5 0.15
=mistral-medium-latest	1.5 7.5 0.15
=mistral-nemo =open-mistral-nemo	0.15 0.15
=mistral-saba =mistral-saba-latest	0.2 0.6
=mistral-small-24b-instruct-2501	0.05 0.08
=mistral-small-2603	0.15 0.6 0.015
=mistral-small-3.1-24b-instruct	0.351 0.555
=mistral-small-2506 =mistral-small-3.2-24b-instruct	0.1 0.3
=mistral-small-latest	0.15 0.6 0.015
=mistral-tiny	0.25 0.25
=open-mixtral-8x22b =mixtral-8x22b-instruct	2 6
^mixtral-8x7b =open-mixtral-8x7b	0.7 0.7
=pixtral-12b =pixtral-12b-latest	0.15 0.15
=pixtral-large-latest =pixtral-large-2411	2 6
=voxtral-small-24b-2507 =voxtral-small-2507 =voxtral-small-latest	0.1 0.4 0.01
=zai-glm-5-3	1.4 4.4 0.14
=zai-glm-5-3-flash	0.15 0.5 0.03
[moonshotai]
=kimi-k2	0.57 2.3
=kimi-k2-0711-preview	0.6 2.5 0.15
=kimi-k2-0905-preview	0.6 2.5 0.15
=kimi-k2-thinking	0.6 2.5 0.15
=kimi-k2-thinking-turbo	1.15 8 0.15
^kimi-k2-turbo	1.15 8 0.15
^kimi-k2.5	0.6 3 0.1
^kimi-k2.6	0.95 4 0.16
=kimi-k2.7-code	0.95 4 0.19
=kimi-k2.7-code-highspeed	1.9 8 0.38
=kimi-k3	3 15 0.3 3 6
=kimi-k3.1-pro	2 10 0.2 2 4
=kimi-k3.1-pro-highspeed	4 20 0.2 4 8
=moonshot-v1-128k =moonshot-v1-128k-vision-preview	2 5
=moonshot-v1-32k =moonshot-v1-32k-vision-preview	1 3
=moonshot-v1-8k =moonshot-v1-8k-vision-preview	0.2 2
[openai]
=ada =text-ada-001	0.4 0.4
=babbage	0.5 0.5
=babbage-002	0.4 0.4
=chatgpt-4o-latest	5 15
=chatgpt-image-latest	5 10 1.25
=codex-mini =codex-mini-latest	1.5 6 0.375
^computer-use	3 12
=curie =text-curie-001	2 2
=davinci =text-davinci-001	20 20
=davinci-002	2 2
^ft:gpt-3.5-turbo	3 6
^ft:gpt-4o-2024-	3.75 15
^ft:gpt-4o-mini-2024-	0.3 1.2
=gpt-3.5-turbo-0301 =gpt-3.5-0301	1.5 2
=gpt-3.5-turbo =gpt-35-turbo =gpt-3.5-turbo-0125	0.5 1.5
=gpt-3.5-turbo-0613	1.5 2
=gpt-3.5-turbo-1106	1 2
=gpt-3.5-turbo-16k =gpt-3.5-turbo-16k-0613 =gpt-35-turbo-16k-0613 =gpt-35-turbo-16k	3 4
^gpt-3.5-turbo-instruct =gpt-3.5-turbo-instruct-0914	1.5 2
=gpt-4 =gpt-4-0314 =gpt-4-0613 ^ft:gpt-4-0	30 60
=gpt-4-32k =gpt-4-32k-0314 =gpt-4-32k-0613	60 120
=gpt-4-turbo =gpt-4-turbo-2024-04-09 =gpt-4-turbo-0125-preview =gpt-4-0125-preview =gpt-4-1106-preview =gpt-4-turbo-preview	10 30
=gpt-4-vision-preview =gpt-4-1106-vision-preview	10 30
=gpt-4.1 =gpt-4.1-2025-04-14	2 8 0.5|priority 3.5 14 0.875
=gpt-4.1-mini =gpt-4.1-mini-2025-04-14	0.4 1.6 0.1|priority 0.7 2.8 0.175
=gpt-4.1-nano =gpt-4.1-nano-2025-04-14	0.1 0.4 0.025|priority 0.2 0.8 0.05
^gpt-4.5-preview	75 150 37.5
=gpt-4o =gpt-4o-2024-08-06 =gpt-4o-2024-11-20	2.5 10 1.25|priority 4.25 17 2.125
=gpt-4o-2024-05-13	5 15|priority 8.75 26.25
^gpt-4o-audio-preview	2.5 10
=gpt-4o-mini =gpt-4o-mini-2024-07-18 =gpt-4o-mini-search-preview =gpt-4o-mini-search-preview-2025-03-11	0.15 0.6 0.075|priority 0.25 1 0.125
^gpt-4o-mini-2024-07-18.ft-	0.3 1.2
^gpt-4o-mini-audio	0.15 0.6
^gpt-4o-mini-realtime	0.6 2.4 0.3|audio 10 20 0.3
=gpt-4o-mini-transcribe	1.25 5|audio 3
=gpt-4o-mini-tts	0.6 12
^gpt-4o-realtime	5 20 2.5|audio 40 80 2.5
=gpt-4o-search-preview =gpt-4o-search-preview-2025-03-11	2.5 10
=gpt-4o-transcribe =gpt-4o-transcribe-diarize	2.5 10|audio 6
=gpt-4o:extended	6 18
=gpt-5 =gpt-5-2025-08-07 =gpt-5-chat =gpt-5-chat-latest =gpt-5-codex	1.25 10 0.125|flex 0.625 5 0.0625|priority 2.5 20 0.25
=gpt-5-image	10 10 1.25
=gpt-5-image-mini	2.5 2 0.25
=gpt-5-mini =gpt-5-mini-2025-08-07	0.25 2 0.025|flex 0.125 1 0.0125|priority 0.45 3.6 0.045
=gpt-5-nano ^gpt-5-nano-	0.05 0.4 0.005|flex 0.025 0.2 0.0025
=gpt-5-pro =gpt-5-pro-2025-10-06	15 120
=gpt-5-search-api	1.25 10 0.125
=gpt-5.1 =gpt-5.1-2025-11-13 =gpt-5.1-codex =gpt-5.1-codex-max =gpt-5.1-chat =gpt-5.1-chat-latest =gpt-5-1 =gpt-5-1-2025-11-13 =gpt-5-1-codex =gpt-5-1-codex-max =gpt-5-1-chat =gpt-5-1-chat-latest	1.25 10 0.125|flex 0.625 5 0.0625|priority 2.5 20 0.25
=gpt-5.1-codex-mini =gpt-5.1-mini =gpt-5-1-codex-mini =gpt-5-1-mini	0.25 2 0.025
=gpt-5.2 =gpt-5.2-2025-12-11 =gpt-5-2 =gpt-5-2-2025-12-11 =gpt-5.2-chat =gpt-5.2-chat-latest =gpt-5-2-chat =gpt-5-2-chat-latest =gpt-5.2-codex =gpt-5-2-codex	1.75 14 0.175|flex 0.875 7 0.0875|priority 3.5 28 0.35
=gpt-5.2-pro =gpt-5.2-pro-2025-12-11 =gpt-5-2-pro-2025-12-11	21 168
=gpt-5.3 =gpt-5-3 =gpt-5.3-chat =gpt-5.3-chat-latest =gpt-5-3-chat =gpt-5-3-chat-latest	1.75 14 0.175
=gpt-5.3-codex =gpt-5-3-codex	1.75 14 0.175|priority 3.5 28 0.35
=gpt-5.4 =gpt-5.4-2026-03-05 =gpt-5-4 =gpt-5-4-2026-03-05	2.5 15 0.25|>272000 5 22.5 0.5|flex 1.25 7.5 0.13|priority 5 30 0.5
=gpt-5.4-image-2	8 15 2
=gpt-5.4-mini =gpt-5.4-mini-2026-03-17 =gpt-5-4-mini =gpt-5-4-mini-2026-03-17	0.75 4.5 0.075|flex 0.375 2.25 0.0375|priority 1.5 9 0.15
=gpt-5.4-nano =gpt-5.4-nano-2026-03-17 =gpt-5-4-nano =gpt-5-4-nano-2026-03-17	0.2 1.25 0.02|flex 0.1 0.625 0.01
=gpt-5.4-pro =gpt-5.4-pro-2026-03-05 =gpt-5-4-pro =gpt-5-4-pro-2026-03-05	30 180|>272000 60 270|flex 15 90
=gpt-5.5 =gpt-5.5-2026-04-23 =gpt-5.5-2026-04-24 =gpt-5-5 =gpt-5-5-2026-04-23 =gpt-5-5-2026-04-24 =gpt-5.5-chat =gpt-5.5-chat-latest =gpt-5-5-chat =gpt-5-5-chat-latest =gpt-5.5-codex =gpt-5-5-codex	5 30 0.5|>272000 10 45 1|flex 2.5 15 0.25|priority 12.5 75 1.25
=gpt-5.5-cyber	12.5 75 1.25
=gpt-5.5-pro =gpt-5.5-pro-2026-04-23 =gpt-5-5-pro =gpt-5-5-pro-2026-04-23	30 180|>272000 60 270|flex 15 90
=gpt-5.6-cyber	12.5 75 1.25 15.625
=gpt-5.6-luna =gpt-5-6-luna	0.2 1.2 0.02 0.25|>272000 0.4 1.8 0.04 0.5|flex 0.1 0.6 0.01 0.125|priority 0.4 2.4 0.04 0.5
=gpt-5.6-sol =gpt-5-6-sol =gpt-5.6 =gpt-5-6	4 20 0.4 5|>272000 8 30 0.8 10|flex 2 10 0.2 2.5|priority 8 40 0.8 10
=gpt-5.6-terra =gpt-5-6-terra	2 12 0.2 2.5|>272000 4 18 0.4 5|flex 1 6 0.1 1.25|priority 4 24 0.4 5
=gpt-6-astra	10 50 1 12.5|>272000 20 75 2 25|flex 5 25 0.5 6.25|priority 20 100 2 25
=gpt-6-cyber	20 100 2 25
=gpt-6-luna	0.1 0.5 0.01 0.125|>272000 0.2 0.75 0.02 0.25|flex 0.05 0.25 0.005 0.0625|priority 0.2 1 0.02 0.25
=gpt-6-rosalind	15 75 1.5 18.75|>272000 30 112.5 3 37.5
=gpt-6-sol	2 10 0.2 2.5|>272000 4 15 0.4 5|flex 1 5 0.1 1.25|priority 4 20 0.4 5
=gpt-6.1-sol	2 10 0.1 2.5|>272000 4 15 0.2 5|flex 1 5 0.05 1.25|priority 4 20 0.2 5
=gpt-6.1-terra	1 5 0.05 1.25|>272000 2 7.5 0.1 2.5|flex 0.5 2.5 0.025 0.625|priority 2 10 0.1 2.5
=gpt-audio =gpt-audio-2025-08-28 =gpt-audio-1.5	2.5 10|audio 32 64
=gpt-audio-mini =gpt-audio-mini-2025-10-06 =gpt-audio-mini-2025-12-15	0.6 2.4|audio 10 20
=gpt-chat-latest =chat-latest	5 30 0.5
=gpt-image-1	5 40 1.25
=gpt-image-1-mini	2 8 0.2
=gpt-image-1.5 =gpt-image-1.5-2025-12-16	5 10 1.25
=gpt-image-2 =gpt-image-2-2026-04-21	5 30 1.25
=gpt-image-2.5-flare =gpt-image-2.5-flare-2026-09-08	5 30 1.25
=gpt-image-2.5-sunburst =gpt-image-2.5-sunburst-2026-09-08	5 30 1.25
=gpt-oss-120b	0.039 0.18
=gpt-oss-20b	0.029 0.14
=gpt-oss-safeguard-20b	0.075 0.3 0.037
=gpt-realtime =gpt-realtime-2025-08-28 =gpt-realtime-1.5	4 16 0.4|audio 32 64 0.4
=gpt-realtime-2 =gpt-realtime-2.1	4 24 0.4|audio 32 64 0.4
=gpt-realtime-mini =gpt-realtime-2.1-mini =gpt-realtime-mini-2025-12-15 =gpt-realtime-mini-2025-10-06	0.6 2.4 0.06|audio 10 20 0.3
=gpt-rosalind-discovery	5 25 0.5
=gpt-rosalind-research	5 25 0.5
=o1 =o1-2024-12-17	15 60 7.5
=o1-mini =o1-mini-2024-09-12	1.1 4.4 0.55
=o1-preview =o1-preview-2024-09-12	15 60 7.5
=o1-pro =o1-pro-2025-03-19	150 600
=o3 =o3-2025-04-16	2 8 0.5|flex 1 4 0.25|priority 3.5 14 0.875
=o3-deep-research =o3-deep-research-2025-06-26	10 40 2.5
=o3-mini =o3-mini-2025-01-31 =o3-mini-high	1.1 4.4 0.55
=o3-pro =o3-pro-2025-06-10	20 80
=o4-mini-2025-04-16 =o4-mini-high =o4-mini	1.1 4.4 0.275|flex 0.55 2.2 0.138|priority 2 8 0.5
=o4-mini-deep-research =o4-mini-deep-research-2025-06-26	2 8 0.5
=text-davinci-002	20 20
=text-davinci-003	20 20
=text-embedding-3-large	0.13
=text-embedding-3-small	0.02
=text-embedding-ada =text-embedding-ada-002 =text-embedding-ada-002-v2	0.1
[perplexity]
=llama-3.1-sonar-large-128k-online	1 1
=llama-3.1-sonar-small-128k-online	0.2 0.2
=perplexity/deepseek-v4-pro-0813	1.32 3.96 0.044
=perplexity/glm-5.3	1.4 4.4 0.26
=perplexity/glm-5.3-flash	0.15 0.5 0.03
=perplexity/kimi-k3	3 15 0.3
=perplexity/nemotron-3.5-super-120b-a12b	0.2 0.5 0.04
=perplexity/sonar	0.25 2.5 0.0625
=pplx-decider-flash-v1.2 =pplx-decider-flash-latest =perplexity/pplx-decider-flash-latest	0.01
=pplx-decider-v1-27b	0.02
=pplx-decider-v1.1-27b	0.02
=pplx-decider-v1.2 =pplx-decider-latest =perplexity/pplx-decider-latest	0.02
=pplx-embed-context-v1-0.6b	0.008
=pplx-embed-context-v1-4b	0.05
=pplx-embed-v1-0.6b	0.004
=pplx-embed-v1-4b	0.03
=r1-1776	2 8
=sonar	1 1
=sonar-deep-research	2 8
=sonar-pro	3 15
=sonar-pro-search	3 15
=sonar-reasoning	1 5
=sonar-reasoning-pro	2 8
[x-ai]
=grok-2-1212 =grok-2 =grok-2-latest	2 10
=grok-2-vision-1212 =grok-2-vision =grok-2-vision-latest	2 10
=grok-3 =grok-3-latest =grok-3-beta	3 15 0.75
=grok-3-fast =grok-3-fast-latest =grok-3-fast-beta	5 25 1.25
=grok-3-mini =grok-3-mini-beta =grok-3-mini-latest	0.3 0.5 0.075
=grok-3-mini-fast =grok-3-mini-fast-beta =grok-3-mini-fast-latest	0.6 4 0.15
=grok-4-0709 =grok-4 =grok-4-latest	3 15 0.75
=grok-4-1-fast-non-reasoning =grok-4-1-fast-non-reasoning-latest	0.2 0.5 0.05
=grok-4-1-fast =grok-4-1-fast-reasoning =grok-4-1-fast-reasoning-latest	0.2 0.5 0.05
=grok-4-fast-non-reasoning =grok-4-fast-non-reasoning-latest	0.2 0.5 0.05
=grok-4-fast =grok-4-fast-reasoning =grok-4-fast-reasoning-latest	0.2 0.5 0.05
=grok-4.20 =grok-4.20-0309-reasoning =grok-4.20-0309-non-reasoning	1.25 2.5 0.2|>199999 2.5 5 0.4
=grok-4.20-multi-agent-0309 =grok-4.20-multi-agent =grok-4.20-multi-agent-beta-0309 =grok-4.20-multi-agent-latest =grok-4.20-multi-agent-beta-latest	1.25 2.5 0.2|>199999 2.5 5 0.4
=grok-4.3 =x-ai/grok-4.3 =grok-4.3-latest	1.25 2.5 0.2|>199999 2.5 5 0.4
=grok-4.5 =x-ai/grok-4.5 =grok-4.5-latest =grok-latest	2 6 0.3|>199999 4 12 0.6
=grok-4.6 =x-ai/grok-4.6 =grok-4.6-latest	2 6 0.5|>199999 4 12 1
=grok-4.7 =x-ai/grok-4.7 =grok-4.7-latest	2 6 0.5|>199999 4 12 1
=grok-build-0.1	1 2 0.2|>199999 2 4 0.4
=grok-code-fast =grok-code-fast-1 =grok-code-fast-1-0825	0.2 1.5 0.02
"""
