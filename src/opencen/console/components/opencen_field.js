// One labelled control of a form, with its hint and its error beside it.
export default {
  template: `
    <div class="oc-field" :class="{ 'has-error': error }">
      <label :for="name + '-' + uid" :class="{ 'oc-sr': quiet_label }">{{ label }}</label>
      <select v-if="kind === 'select'" :id="name + '-' + uid" :name="name" v-model="current" :disabled="disabled" :autofocus="autofocus || null"
          :aria-invalid="error ? 'true' : null" :aria-describedby="describedBy" @change="$emit('value', current)">
        <option v-for="option in options" :key="option.v" :value="option.v" :disabled="option.off">{{ option.t }}</option>
      </select>
      <span v-else class="oc-control">
        <input :id="name + '-' + uid" :name="name" :type="kind" v-model="current" :autocomplete="autocomplete || 'off'"
          :min="min" :max="max" :step="kind === 'number' ? 1 : null" :placeholder="placeholder" :disabled="disabled" :autofocus="autofocus || null"
          :aria-invalid="error ? 'true' : null" :aria-describedby="describedBy" :spellcheck="false"
          @input="$emit('value', current)" />
        <span v-if="unit" class="oc-unit">{{ unit }}</span>
      </span>
      <p v-if="error" class="oc-error" role="alert" :id="name + '-error-' + uid">{{ error }}</p>
      <p v-if="hint" class="oc-hint" :id="name + '-hint-' + uid">{{ hint }}</p>
    </div>`,
  props: {
    kind: String, name: String, label: String, value: [String, Number], options: Array, hint: String, error: String,
    unit: String, min: Number, max: Number, placeholder: String, autocomplete: String, autofocus: Boolean,
    disabled: Boolean, quiet_label: Boolean,
  },
  emits: ["value"],
  data() {
    return { current: this.value, uid: Math.random().toString(36).slice(2, 8) };
  },
  computed: {
    describedBy() {
      const ids = [];
      if (this.error) ids.push(this.name + "-error-" + this.uid);
      if (this.hint) ids.push(this.name + "-hint-" + this.uid);
      return ids.length ? ids.join(" ") : null;
    },
  },
  watch: {
    value(value) {
      this.current = value;
    },
    error(error) {
      if (error) this.$el.querySelector("input, select").focus();
    },
  },
  mounted() {
    // A dialog gives the focus itself, to what has the attribute, and back afterwards.
    if (this.autofocus && !this.$el.closest(".q-dialog")) this.$el.querySelector("input, select").focus();
  },
};
