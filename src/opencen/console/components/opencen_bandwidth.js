// Choose how much of a package a connection takes: a slider and a number, and the package's bar that moves with them.
export default {
  template: `
    <div class="oc-field oc-bandwidth" :class="{ 'has-error': error }">
      <div class="oc-stack is-tall" aria-hidden="true">
        <span v-for="share in others" :class="'oc-share-' + share.c" :style="{ width: percent(share.mbps) }"
          :title="share.t"></span>
        <span class="oc-share-own" :class="{ 'is-over': wanted > most }" :style="{ width: percent(shownOwn) }"></span>
      </div>
      <p class="oc-sum" aria-live="polite">{{ sum }}</p>
      <label :for="'bandwidth-' + uid">{{ label }}</label>
      <div class="oc-slider">
        <input type="range" :aria-label="sliderLabel" min="1" :max="Math.max(most, 1)" step="1" v-model="current"
          :disabled="disabled || most < 1" @input="$emit('value', current)" />
        <span class="oc-control">
          <input :id="'bandwidth-' + uid" name="bandwidth_mbps" type="number" min="1" :max="most" step="1" v-model="current"
            :disabled="disabled" :aria-invalid="error ? 'true' : null" :aria-describedby="error ? 'bw-error-' + uid : null"
            @input="$emit('value', current)" />
          <span class="oc-unit">Mbit/s</span>
        </span>
      </div>
      <p v-if="error" class="oc-error" role="alert" :id="'bw-error-' + uid">{{ error }}</p>
    </div>`,
  props: {
    label: String, sliderLabel: String, value: [String, Number], total: Number, others: Array, own: Number,
    error: String, disabled: Boolean, sumText: String, overText: String,
  },
  emits: ["value"],
  data() {
    return { current: this.value, uid: Math.random().toString(36).slice(2, 8) };
  },
  computed: {
    wanted() {
      const number = Number(this.current);
      return Number.isFinite(number) && number > 0 ? Math.floor(number) : 0;
    },
    taken() {
      return this.others.reduce((sum, share) => sum + share.mbps, 0);
    },
    most() {
      return Math.max(this.total - this.taken, 0);
    },
    shownOwn() {
      return Math.min(this.wanted, this.most);
    },
    sum() {
      return (this.wanted > this.most ? this.overText : this.sumText)
        .replace("[total]", this.total)
        .replace("[others]", this.taken)
        .replace("[own]", this.wanted)
        .replace("[free]", Math.abs(this.most - this.wanted));
    },
  },
  watch: {
    value(value) {
      this.current = value;
    },
    error(error) {
      if (error) this.$el.querySelector("input[type=number]").focus();
    },
  },
  methods: {
    percent(mbps) {
      return this.total ? (100 * mbps) / this.total + "%" : "0";
    },
  },
};
